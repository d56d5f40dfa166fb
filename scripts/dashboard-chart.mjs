/** Draws what the dashboard's queries answered, panel for panel, as one SVG. */
import { init } from 'echarts'

/** @typedef {import('./prometheus.d.mts').Panel} Panel */
/** @typedef {import('./prometheus.d.mts').PrometheusSeries} PrometheusSeries */
/** @typedef {{ panel: Panel, lines: { legend: string, series: PrometheusSeries }[] }} Answered */

const WIDTH = 1280
const STAT_HEIGHT = 96
const PANEL_HEIGHT = 250
const MARGIN = 16
const INK = '#24292f'
const COLOURS = ['#3a6fd8', '#e07b39', '#2f9e64', '#c23b6b', '#8457c9', '#b39411']

/**
 * @param {readonly Answered[]} answered
 * @returns {string}
 */
export function drawDashboard(answered) {
  const stats = answered.filter(({ panel }) => panel.type === 'stat')
  const charts = answered.filter(({ panel }) => panel.type !== 'stat')
  const height = STAT_HEIGHT + Math.ceil(charts.length / 2) * PANEL_HEIGHT + MARGIN
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  const all = charts.flatMap(({ lines }) => lines.flatMap(({ series }) => series.values))
  const times = [...new Set(all.map(([time]) => time))].sort((one, other) => one - other)
  const drawn = charts.map((one, index) => panelOptions(one, index, times))
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    color: COLOURS,
    textStyle: { fontFamily: 'sans-serif', color: INK },
    title: [
      ...stats.map((one, index) => statTitle(one, index, stats.length)),
      ...drawn.map(({ title }) => title),
    ],
    legend: drawn.map(({ legend }) => legend),
    grid: drawn.map(({ grid }) => grid),
    xAxis: drawn.map(({ xAxis }) => xAxis),
    yAxis: drawn.map(({ yAxis }) => yAxis),
    series: drawn.flatMap(({ series }) => series),
  })
  // Its styles are for hovering, which a picture in a page knows nothing of.
  const svg = chart.renderToSVGString().replace(/<style[\s\S]*?<\/style>\s*/, '')
  chart.dispose()
  return `${svg}\n`
}

/** @param {Answered} answered @param {number} index @param {number} count */
function statTitle({ panel, lines }, index, count) {
  const value = lines[0]?.series.values.at(-1)?.[1] ?? 0
  return {
    left: MARGIN + (index * (WIDTH - 2 * MARGIN)) / count,
    top: MARGIN,
    text: panel.title,
    subtext: String(Math.round(value)),
    textStyle: { fontSize: 13, fontWeight: 600, color: INK },
    subtextStyle: { fontSize: 30, color: COLOURS[0] },
  }
}

/** @param {Answered} answered @param {number} index @param {readonly number[]} times */
function panelOptions({ panel, lines }, index, times) {
  const half = WIDTH / 2
  const left = (index % 2) * half
  const top = STAT_HEIGHT + Math.floor(index / 2) * PANEL_HEIGHT
  // Names of series are one space for the whole picture.
  /** @param {string} legend */
  const own = (legend) => `${index}|${legend}`
  return {
    title: {
      left: left + MARGIN,
      top: top + 8,
      text: panel.title,
      textStyle: { fontSize: 13, fontWeight: 600, color: INK },
    },
    legend: {
      left: left + MARGIN,
      top: top + PANEL_HEIGHT - 26,
      itemWidth: 14,
      itemHeight: 8,
      icon: 'roundRect',
      textStyle: { fontSize: 11, color: INK },
      data: lines.map(({ legend }) => own(legend)),
      formatter: (/** @type {string} */ name) => name.slice(name.indexOf('|') + 1),
    },
    grid: {
      left: left + 62,
      top: top + 36,
      width: half - 62 - MARGIN,
      height: PANEL_HEIGHT - 36 - 56,
    },
    xAxis: {
      gridIndex: index,
      type: /** @type {const} */ ('time'),
      min: 1000 * (times[0] ?? 0),
      max: 1000 * (times.at(-1) ?? 0),
      axisLabel: { fontSize: 10, formatter: '{HH}:{mm}:{ss}', hideOverlap: true },
    },
    yAxis: {
      gridIndex: index,
      type: /** @type {const} */ ('value'),
      min: 0,
      splitNumber: 4,
      axisLabel: {
        fontSize: 10,
        formatter: (/** @type {number} */ value) => shown(value, panel.unit),
      },
    },
    series: lines.map(({ legend, series }, line) => ({
      name: own(legend),
      type: /** @type {const} */ ('line'),
      xAxisIndex: index,
      yAxisIndex: index,
      showSymbol: false,
      lineStyle: { width: 1.5 },
      itemStyle: { color: COLOURS[line % COLOURS.length] ?? INK },
      ...(panel.stacked ? { stack: `stack ${index}`, areaStyle: { opacity: 0.35 } } : {}),
      data: onGrid(series, times, panel.stacked ? 0 : null),
    })),
  }
}

/**
 * One point for each moment: lines that begin late could not be stacked on each other otherwise.
 * @param {PrometheusSeries} series
 * @param {readonly number[]} times
 * @param {number | null} missing
 */
function onGrid({ values }, times, missing) {
  const known = new Map(values)
  return times.map((time) => {
    const value = known.get(time)
    const there = value !== undefined && Number.isFinite(value)
    return [Math.round(time * 1000), there ? Number(value.toPrecision(4)) : missing]
  })
}

/** @param {number} value @param {string} unit */
function shown(value, unit) {
  const rounded = Number(value.toPrecision(3))
  if (unit === 'ops') return `${rounded}/s`
  if (unit !== 's') return String(rounded)
  return value < 1 && value > 0 ? `${Number((value * 1000).toPrecision(3))} ms` : `${rounded} s`
}
