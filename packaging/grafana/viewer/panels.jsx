// The panels, by Grafana's components. Its state timeline is in none of its packages: that one is drawn here.
import { applyFieldOverrides, cacheFieldDisplayNames, createTheme, dateTime, FieldConfigOptionsRegistry, getDisplayValueAlignmentFactors, getFieldDisplayValues, standardFieldConfigEditorRegistry,
  standardTransformers, standardTransformersRegistry, transformDataFrame } from '@grafana/data';
import { BarGauge, BigValue, TimeSeries } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { lastValueFrom } from 'rxjs';
import { end, frames, replaced, start } from './query.js';

export const theme = createTheme({ colors: { mode: 'dark' } });
const timeZone = 'utc';
const timeRange = { from: dateTime(start), to: dateTime(end), raw: { from: dateTime(start), to: dateTime(end) } };

standardTransformersRegistry.setInit(() => [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer,
  standardTransformers.filterFieldsByNameTransformer, standardTransformers.orderFieldsTransformer, standardTransformers.renameFieldsTransformer,
].map((t) => ({ id: t.id, name: t.name, transformation: () => Promise.resolve(t), editor: () => null })));

const property = (name, isCustom) => ({
  id: isCustom ? `custom.${name}` : name, path: name, name, isCustom, process: (v) => v, override: (v) => v, shouldApply: () => true, getItemsCount: () => 0,
});
const standard = ['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'color', 'thresholds', 'mappings', 'links'].map((name) => property(name));
const custom = ['align', 'axisPlacement', 'axisSoftMax', 'cellOptions', 'drawStyle', 'fillOpacity', 'filterable', 'hideFrom', 'insertNulls', 'lineInterpolation', 'lineWidth',
  'pointSize', 'showPoints', 'spanNulls', 'stacking', 'width'].map((name) => property(name, true));
standardFieldConfigEditorRegistry.setInit(() => standard);
const fieldConfigRegistry = new FieldConfigOptionsRegistry(() => [...standard, ...custom]);

// What the kinds of panels have unless the board says otherwise.
const usual = {
  timeseries: { color: { mode: 'palette-classic' }, custom: { drawStyle: 'line', lineWidth: 1, fillOpacity: 0, showPoints: 'auto', pointSize: 5, axisPlacement: 'auto', lineInterpolation: 'linear' } },
  table: { color: { mode: 'thresholds' }, custom: { cellOptions: { type: 'auto' } } },
};

// load asks for the data of a panel, and prepares it as the board says.
export async function load(panel, points) {
  const all = (await Promise.all(panel.targets.map((target) => frames(target, points)))).flat();
  const { defaults, overrides } = panel.fieldConfig;
  const base = usual[panel.type] ?? { color: { mode: 'thresholds' } };
  const data = applyFieldOverrides({
    data: await lastValueFrom(transformDataFrame(panel.transformations ?? [], all)),
    fieldConfig: { defaults: { ...base, ...defaults, custom: { ...base.custom, ...defaults.custom } }, overrides },
    theme, timeZone, fieldConfigRegistry, replaceVariables: replaced,
  });
  cacheFieldDisplayNames(data);
  return data;
}

export function Panel({ panel, data, width, height }) {
  const { options } = panel;
  switch (panel.type) {
    case 'stat': case 'bargauge': {
      const values = getFieldDisplayValues({ fieldConfig: { defaults: {}, overrides: [] }, reduceOptions: options.reduceOptions, replaceVariables: replaced, theme, data, timeZone });
      if (panel.type === 'stat') {
        return <BigValue value={values[0].display} theme={theme} width={width} height={height} {...options} />;
      }
      const alignmentFactors = getDisplayValueAlignmentFactors(values);
      return values.map((v, i) => <BarGauge key={i} value={v.display} field={v.field} alignmentFactors={alignmentFactors} display={v.view.getFieldDisplayProcessor(v.colIndex)} theme={theme} width={width} height={height / values.length - 6} {...options} />);
    }
    case 'timeseries':
      return <TimeSeries frames={data} timeRange={timeRange} timeZone={timeZone} theme={theme} width={width} height={height} legend={options.legend} options={options} />;
    case 'table':
      return <TableNG data={data[0]} theme={theme} timeRange={timeRange} width={width} height={height} initialSortBy={options.sortBy} fieldConfig={panel.fieldConfig} structureRev={1} getActions={() => []} />;
    case 'state-timeline':
      return <Timeline data={data} width={width} height={height} />;
    default:
      throw new Error(`a panel of the kind ${panel.type}`);
  }
}

// Timeline draws a bar for each series, in the colours and with the texts that Grafana finds for its values.
function Timeline({ data, width, height }) {
  const names = 190, row = (height - 24) / data.length, x = (at) => ((at - start) / (end - start)) * (width - names);
  return <svg width={width} height={height} fontSize={12} fill={theme.colors.text.secondary}>
    {data.map(({ fields: [time, value] }, i) => <g key={i} transform={`translate(0 ${i * row})`}>
      <text x={names - 8} y={row / 2 + 4} textAnchor="end" fontSize={Math.min(12, row)}>{value.config.displayNameFromDS}</text>
      {runs(time.values, value.values).map(({ v, from, to }) => <rect key={from} x={names + x(from)} y={row * 0.08} width={x(to) - x(from)} height={row * 0.84}
        fill={value.display(v).color} fillOpacity={0.8} />)}
    </g>)}
    {[0, 0.25, 0.5, 0.75, 1].map((part) => <text key={part} x={names + part * (width - names)} y={data.length * row + 16} textAnchor={part === 1 ? 'end' : part ? 'middle' : 'start'}>
      {new Date(start + part * (end - start)).toISOString().slice(11, 19)}</text>)}
  </svg>;
}

// runs are the times for which a value stays the same.
function runs(times, values) {
  const all = [];
  values.forEach((v, i) => {
    if (all.at(-1)?.v === v) all.at(-1).to = times[i + 1] ?? end;
    else all.push({ v, from: times[i], to: times[i + 1] ?? end });
  });
  return all;
}
