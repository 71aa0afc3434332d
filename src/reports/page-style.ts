/** The style of index.html, in light and dark. Plots and sheets are white cards in both: their colours carry meaning. */
export const pageStyle = `
:root { color-scheme: light dark; --ink: #1f2328; --faint: #59636e; --page: #f6f8fa; --card: #fff; --line: #d1d9e0;
  --accent: #0072b2; --track: #e6eaee; --warn: #9a6700; --warn-page: #fff8c5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --faint: #9198a1; --page: #0d1117; --card: #161b22;
  --line: #30363d; --accent: #58a6ff; --track: #2a313c; --warn: #e3b341; --warn-page: #272115; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 48px; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 12px; }
header p { margin: 0; color: var(--faint); }
section, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
section { padding: 18px 20px; margin-top: 16px; }
section > :last-child { margin-bottom: 0; }
.warnings { border-color: var(--warn); background: var(--warn-page); }
.warnings h2 { color: var(--warn); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 12px; margin-top: 16px; }
.tile { padding: 14px 18px; }
.tile .name { color: var(--faint); font-size: .9rem; }
.tile .value { font-size: 2rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile .detail { color: var(--faint); font-size: .85rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 8px 20px; margin: 0; }
dt { color: var(--faint); font-size: .85rem; }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--faint); font-size: .85rem; }
th, td { padding: 6px 16px 6px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
.bar { display: inline-block; width: 110px; height: 8px; border-radius: 4px; margin-right: 10px;
  background: linear-gradient(to right, var(--accent) calc(var(--rate) * 100%), var(--track) 0); }
.missing, .note { color: var(--faint); }
.note { font-size: .9rem; }
.plots { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }
.sheet { background: #fff; border-radius: 8px; border: 1px solid var(--line); max-width: 100%; height: auto;
  display: block; }
figure { margin: 0 0 20px; }
figcaption { color: var(--faint); font-size: .9rem; margin-top: 6px; }
pre { overflow-x: auto; font-size: .85rem; background: var(--page); padding: 12px; border-radius: 8px; }
summary { cursor: pointer; }
a { color: var(--accent); }
`;
