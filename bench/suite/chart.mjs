import { init } from 'echarts'
import { middle, precise, shown } from './text.mjs'

const WIDTH = 960
const BAR = 26
const INK = '#24292f'
const COLOURS = { floor: '#8c959f', holdfast: '#2f6fde', peer: '#d9a441', broken: '#c23b6b' }

/** Draws one row as an SVG. */
export function chartOf(result) {
  const { options, height } = result.chart.lines ? lines(result) : bars(result)
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'sans-serif', color: INK },
    ...options,
  })
  // Its styles are for hovering, which a picture in a page knows nothing of.
  const svg = chart.renderToSVGString().replace(/<style[\s\S]*?<\/style>\s*/, '')
  chart.dispose()
  return `${svg}\n`
}

function titleOf({ title, chart }, label) {
  const scale = chart.log ? ', logarithmic' : ''
  return {
    text: title,
    subtext: `${label}, ${chart.better} is better${scale}`,
    left: 16,
    top: 10,
    textStyle: { fontSize: 15, color: INK },
  }
}

function bars(result) {
  const { chart, columns, entries } = result
  const column = columns.find(({ key }) => key === chart.key) ?? columns[0]
  const drawn = entries.filter(({ values }) => Number.isFinite(middle(values[column.key])))
  const height = 100 + drawn.length * BAR
  const data = drawn.map(({ kind, values, ratio }) => ({
    value: middle(values[column.key]),
    itemStyle: { color: COLOURS[kind] },
    label: { formatter: labelOf(values[column.key], column, ratio) },
  }))
  const least = Math.min(...data.map(({ value }) => value).filter((value) => value > 0))
  const options = {
    title: titleOf(result, column.label),
    grid: { left: 230, right: 150, top: 66, bottom: 30 },
    xAxis: chart.log
      ? { type: 'log', min: 10 ** Math.floor(Math.log10(least) - 0.3) }
      : { type: 'value', min: 0 },
    yAxis: {
      type: 'category',
      inverse: true,
      data: drawn.map(({ contender }) => contender),
      axisTick: { show: false },
      axisLabel: { color: INK },
    },
    series: [{ type: 'bar', barWidth: 16, data, label: { show: true, position: 'right' } }],
  }
  return { options, height }
}

function labelOf(value, column, ratio) {
  const text = shown(value, column.digits)
  return ratio ? `${text}  (${precise(ratio.median)})` : text
}

/** What grows along the way: one line for each contender. */
function lines(result) {
  const { chart, entries } = result
  const label = result.columns.find(({ key }) => key === chart.key)?.label ?? chart.key
  const names = [...new Set(entries.map(({ series }) => series))]
  const options = {
    title: titleOf(result, label),
    legend: { bottom: 6, itemGap: 28, data: names },
    grid: { left: 80, right: 40, top: 76, bottom: 76 },
    xAxis: {
      type: 'log',
      name: chart.lines,
      nameLocation: 'middle',
      nameGap: 26,
      min: Math.min(...entries.map(({ at }) => at)),
    },
    yAxis: chart.log ? { type: 'log' } : { type: 'value', min: 0 },
    series: names.map((name) => {
      const own = entries.filter(({ series }) => series === name)
      // Those after the first of their kind get a colour of the library's.
      const first = entries.find(({ kind }) => kind === own[0].kind).series === name
      return {
        name,
        type: 'line',
        symbolSize: 7,
        color: first ? COLOURS[own[0].kind] : undefined,
        data: own.map(({ at, values }) => [at, middle(values[chart.key])]),
      }
    }),
  }
  return { options, height: 420 }
}
