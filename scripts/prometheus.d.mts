/** Obtains a Prometheus without installing anything; rejects where there is none to be had. */
export function obtainPrometheus(): Promise<string>

/** A port of 127.0.0.1 that nobody listens on. */
export function freePort(): Promise<number>

/** One series of an answer: its labels, and its points as [time in seconds, value]. */
export interface PrometheusSeries {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly (readonly [number, number])[]
}

export interface RunningPrometheus {
  readonly url: string
  /** What a query answers at this moment: one point for each series. */
  query(expression: string): Promise<readonly PrometheusSeries[]>
  queryRange(
    expression: string,
    range: { start: number; end: number; step: number },
  ): Promise<readonly PrometheusSeries[]>
  stop(): Promise<void>
}

/** Starts one that scrapes `targets` ("host:port") every second, with its data in `folder`. */
export function startPrometheus(options: {
  bin: string
  targets: readonly string[]
  folder: string
}): Promise<RunningPrometheus>

/** A panel of the dashboard, and what it asks. */
export interface Panel {
  readonly title: string
  readonly type: 'stat' | 'timeseries'
  readonly unit: string
  readonly stacked: boolean
  readonly queries: readonly { readonly expression: string; readonly legend: string }[]
}

/** The panels of docs/dashboards/holdfast.json, everything chosen, as Grafana would ask. */
export function dashboardPanels(times: { rate: string; range: string }): readonly Panel[]
