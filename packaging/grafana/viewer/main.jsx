// Draws a board without a Grafana, and says what is wrong with it. It is for looking at, and for "make boards": whoever serves
// it has the board at /board.json, Prometheus below /prometheus/, and hears at /drawn of errors and empty panels.
import { ThemeContext } from '@grafana/data';
import { GlobalStyles } from '@grafana/ui';
import { Component } from 'react';
import { createRoot } from 'react-dom/client';
import { load, Panel, theme } from './panels.jsx';
import { choose } from './query.js';

const errors = [];
addEventListener('error', (e) => errors.push(e.message));
addEventListener('unhandledrejection', (e) => errors.push(String(e.reason)));

class Boundary extends Component {
  state = {};
  static getDerivedStateFromError(error) { return { error }; }
  componentDidCatch(error) { errors.push(`${this.props.title}: ${error.stack}`); }
  render() { return this.state.error ? <pre>{String(this.state.error)}</pre> : this.props.children; }
}

const column = (innerWidth - 20) / 24, line = 38, gap = 8;

function Framed({ panel, data }) {
  const { x, y, w, h } = panel.gridPos;
  const place = { position: 'absolute', left: x * column, top: y * line };
  if (panel.type === 'row') return <div style={{ ...place, top: y * line + 8, fontWeight: 600 }}>{panel.title}</div>;
  const width = w * column - gap, height = h * line - gap;
  return <div style={{
    ...place, width, height, padding: gap, boxSizing: 'border-box', overflow: 'hidden', borderRadius: 4,
    background: theme.colors.background.primary, border: `1px solid ${theme.colors.border.weak}`,
  }}>
    <div style={{ height: 24, fontWeight: 500, fontSize: 14 }}>{panel.title}</div>
    {data.length > 0 && <Boundary title={panel.title}><Panel panel={panel} data={data} width={width - 2 * gap - 2} height={height - 24 - 2 * gap} /></Boundary>}
  </div>;
}

async function draw() {
  const board = await (await fetch('/board.json')).json();
  await choose(board.templating.list);
  const empty = [];
  const all = await Promise.all(board.panels.map(async (panel) => {
    let data = [];
    if (panel.type !== 'row') {
      data = await load(panel, Math.round(panel.gridPos.w * column / 2)).catch((e) => { errors.push(`${panel.title}: ${e}`); return []; });
      if (!data.some(({ fields }) => fields.some(({ type, values }) => type === 'number' && values.some(Number.isFinite)))) empty.push(panel.title);
    }
    return { panel, data };
  }));
  const bottom = Math.max(...board.panels.map(({ gridPos: { y, h } }) => y + h));
  Object.assign(document.body.style, { margin: 0, background: theme.colors.background.canvas, color: theme.colors.text.primary, fontFamily: theme.typography.fontFamily });
  createRoot(document.getElementById('board')).render(<ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <div style={{ position: 'relative', margin: 10, height: bottom * line }}>
      {all.map(({ panel, data }) => <Framed key={panel.id} panel={panel} data={data} />)}
    </div>
  </ThemeContext.Provider>);
  await new Promise((drawn) => setTimeout(drawn, 2000)); // charts are drawn after their page is
  return { errors, empty, height: bottom * line + 20 };
}

draw().catch((e) => ({ errors: [...errors, String(e.stack)], empty: [] })).then((said) => fetch('/drawn', { method: 'POST', body: JSON.stringify(said) }));
