// What Grafana's own Prometheus source does: it asks, and makes data frames of the answers.
import { toDataFrame } from '@grafana/data';

export const end = Date.now();
export const start = Number(new URLSearchParams(location.search).get('start')) * 1000;

// variables are what is chosen at the top of the board.
export const variables = {};

// replaced puts the variables, and those of one field, into a text.
export function replaced(text, scoped) {
  return String(text).replace(/\$\{?([\w.]+)(?::\w+)?\}?/g, (whole, name) => scoped?.[name]?.value ?? variables[name] ?? whole);
}

async function ask(path, parameters) {
  const response = await fetch(`/prometheus/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const answer = await response.json();
  if (answer.status !== 'success') throw new Error(`${answer.error}: ${parameters.query}`);
  return answer.data;
}

// choose gives each variable the value that a person meets first.
export async function choose(list) {
  for (const v of list) {
    if (v.type === 'datasource') variables[v.name] = 'prometheus';
    if (v.type === 'textbox') variables[v.name] = v.query;
    if (v.type !== 'query') continue;
    variables[v.name] = v.allValue;
    const [, metric, label] = /^label_values\((.+), (\w+)\)$/.exec(replaced(v.definition)) ?? [];
    const [, query] = /^query_result\((.+)\)$/.exec(replaced(v.definition)) ?? [];
    if (label && !v.allValue) variables[v.name] = (await ask(`label/${label}/values`, { 'match[]': metric }))[0];
    if (query) {
      const [, pattern] = /^\/(.+)\/$/.exec(v.regex);
      const { result } = await ask('query', { query });
      variables[v.name] = result.map(({ metric }) => new RegExp(pattern).exec(labelled(metric))[1]).join('|');
    }
  }
}

const labelled = (metric) => `{${Object.entries(metric).map(([k, v]) => `${k}="${v}"`).join(',')}}`;

// frames asks for one target of a panel.
export async function frames(target, points) {
  const query = replaced(target.expr);
  const { result } = await (target.instant
    ? ask('query', { query, time: end / 1000 })
    : ask('query_range', { query, start: start / 1000, end: end / 1000, step: Math.max(1, (end - start) / 1000 / points) }));
  if (target.format === 'table') return [table(target.refId, result)];
  return result.map(({ metric, value, values = [value] }) => {
    const name = named(target.legendFormat, metric);
    return toDataFrame({
      refId: target.refId, name, fields: [
        { name: 'Time', type: 'time', values: values.map(([at]) => at * 1000) },
        { name: 'Value', type: 'number', labels: metric, values: values.map(([, v]) => graphed(Number(v))), config: { displayNameFromDS: name } },
      ],
    });
  });
}

// graphed has what is no number left out, as Grafana's graphs do.
const graphed = (v) => (Number.isFinite(v) ? v : null);

function table(refId, result) {
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))];
  return toDataFrame({
    refId, fields: [
      { name: 'Time', type: 'time', values: result.map(({ value }) => value[0] * 1000) },
      ...labels.map((name) => ({ name, type: 'string', values: result.map(({ metric }) => metric[name] ?? '') })),
      { name: `Value #${refId}`, type: 'number', values: result.map(({ value }) => Number(value[1])) },
    ],
  });
}

const named = (format, labels) => format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '');
