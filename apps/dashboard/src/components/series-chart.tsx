import { Group, Text, useComputedColorScheme } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { api } from '../api.ts'
import { number } from '../format.ts'
import { Answer } from './answer.tsx'

const HEIGHT = 180
const finite = (value: number | string): number | null => (typeof value === 'number' ? value : null)

/** One series over steps: the last value of each bucket as the line, its range as the band. */
export function SeriesChart({ stage, name }: { stage: string; name: string }) {
  const query = useQuery({ queryKey: ['metrics', stage, name], queryFn: () => api.scalars(stage, name) })
  return (
    <Answer query={query} empty={(data) => (data.buckets.length === 0 ? `${name}: no point yet` : null)}>
      {(data) => {
        const last = data.buckets.at(-1)
        const nonFinite = data.buckets.reduce((sum, bucket) => sum + bucket.non_finite, 0)
        return (
          <figure
            style={{ margin: 0 }}
            aria-label={`${name}, ${data.total_points} points, last ${number(last?.last ?? null)}`}
          >
            <Group justify="space-between" gap="xs" wrap="nowrap">
              <Text component="figcaption" size="sm" fw={600} truncate>
                {name}
              </Text>
              <Text size="sm" ff="monospace">
                {number(last?.last ?? null)}
              </Text>
            </Group>
            <Plot
              data={[
                data.buckets.map((bucket) => bucket.step),
                data.buckets.map((bucket) => finite(bucket.last)),
                data.buckets.map((bucket) => finite(bucket.min)),
                data.buckets.map((bucket) => finite(bucket.max)),
              ]}
            />
            <Text size="xs" c={nonFinite > 0 ? 'red' : 'dimmed'}>
              {data.buckets.length} of {data.total_points} points
              {nonFinite > 0 ? ` · ${nonFinite} not finite` : ''}
            </Text>
          </figure>
        )
      }}
    </Answer>
  )
}

type Columns = [number[], (number | null)[], (number | null)[], (number | null)[]]

function Plot({ data }: { data: Columns }) {
  const host = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | null>(null)
  const latest = useRef(data)
  latest.current = data
  const scheme = useComputedColorScheme('light')

  // Rebuilt when the theme changes, since uPlot reads colours once; new data and sizes only update it.
  useEffect(() => {
    const element = host.current
    if (!element) return
    const style = getComputedStyle(element)
    const ink = style.getPropertyValue('--mantine-color-dimmed')
    const line = style.getPropertyValue('--mantine-color-blue-filled')
    const band = scheme === 'dark' ? 'rgba(76, 154, 255, 0.22)' : 'rgba(34, 110, 220, 0.16)'
    const axis = {
      stroke: ink,
      grid: { stroke: scheme === 'dark' ? '#2b3036' : '#e6e8eb', width: 1 },
      ticks: { show: false },
      font: '11px system-ui',
    }
    const plot = new uPlot(
      {
        width: Math.max(element.clientWidth, 120),
        height: HEIGHT,
        scales: { x: { time: false } },
        legend: { show: false },
        cursor: { y: false },
        axes: [axis, { ...axis, size: 56, values: (_plot, ticks) => ticks.map(number) }],
        series: [
          {},
          { stroke: line, width: 1.5, points: { show: latest.current[0].length < 3 } },
          { points: { show: false } },
          { points: { show: false } },
        ],
        bands: [{ series: [3, 2], fill: band }],
      },
      latest.current,
      element,
    )
    chart.current = plot
    const resize = new ResizeObserver(() =>
      plot.setSize({ width: Math.max(element.clientWidth, 120), height: HEIGHT }),
    )
    resize.observe(element)
    return () => {
      resize.disconnect()
      plot.destroy()
      chart.current = null
    }
  }, [scheme])

  useEffect(() => chart.current?.setData(data), [data])
  return <div ref={host} />
}
