import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** What Prometheus reads at /metrics. Labels hold route patterns, never ids: their number is bounded. */
export interface HttpMetrics {
  readonly registry: Registry
  readonly requests: Histogram<'method' | 'route' | 'status'>
  readonly points: Counter
  readonly claims: Counter<'result'>
  readonly streams: Gauge
  readonly waiting: Gauge
}

export function createMetrics(): HttpMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'limbeck_api_' })
  const registers = [registry]
  return {
    registry,
    requests: new Histogram({
      name: 'limbeck_api_request_seconds',
      help: 'Duration of requests by route; held claims, heartbeats and event streams included',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15, 30],
      registers,
    }),
    points: new Counter({ name: 'limbeck_metric_points_total', help: 'Metric points accepted', registers }),
    claims: new Counter({
      name: 'limbeck_claims_total',
      help: 'Answers to claims',
      labelNames: ['result'],
      registers,
    }),
    streams: new Gauge({ name: 'limbeck_event_streams', help: 'Open event streams', registers }),
    waiting: new Gauge({ name: 'limbeck_waiting_claims', help: 'Claims that wait for a stage', registers }),
  }
}
