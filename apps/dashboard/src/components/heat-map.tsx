import { Group, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { api } from '../api.ts'
import { number } from '../format.ts'
import { Answer } from './answer.tsx'

/** Inferno's corner points: perceptually even and readable without colour vision. */
const STOPS = [
  [0, 0, 4],
  [66, 10, 104],
  [147, 38, 103],
  [221, 81, 58],
  [252, 165, 10],
  [252, 255, 164],
] as const

function colour(share: number): string {
  const place = Math.min(0.9999, Math.max(0, share)) * (STOPS.length - 1)
  const [from, to] = [STOPS[Math.floor(place)], STOPS[Math.floor(place) + 1]]
  return `rgb(${[0, 1, 2].map((channel) => Math.round((from?.[channel] ?? 0) * (1 - (place % 1)) + (to?.[channel] ?? 0) * (place % 1))).join(',')})`
}

/** A statistic by noise level t (up) and step (right), on a logarithmic colour scale. */
export function HeatMap({ stage, name, caption }: { stage: string; name: string; caption: string }) {
  const query = useQuery({ queryKey: ['metrics', stage, name], queryFn: () => api.arrays(stage, name) })
  return (
    <Answer query={query} empty={(data) => (data.rows.length === 0 ? `${name}: no row yet` : null)}>
      {(data) => <Canvas name={name} caption={caption} rows={data.rows} />}
    </Answer>
  )
}

type Row = { step: number; values: (number | string | null)[] }

function Canvas({ name, caption, rows }: { name: string; caption: string; rows: Row[] }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [at, setAt] = useState<{ row: number; bin: number } | null>(null)
  const bins = Math.max(...rows.map((row) => row.values.length))
  const values = rows
    .flatMap((row) => row.values)
    .filter((value): value is number => typeof value === 'number' && value > 0)
  const low = Math.log(Math.min(...values))
  const high = Math.log(Math.max(...values))

  useEffect(() => {
    const context = canvas.current?.getContext('2d')
    if (!context) return
    const { width, height } = context.canvas
    context.clearRect(0, 0, width, height)
    for (const [column, row] of rows.entries()) {
      for (const [bin, value] of row.values.entries()) {
        if (value === null) continue
        // Non-finite and non-positive values have no place on the scale: they stand out in white.
        context.fillStyle =
          typeof value === 'number' && value > 0
            ? colour((Math.log(value) - low) / (high - low || 1))
            : '#ffffff'
        const left = Math.floor((column * width) / rows.length)
        const top = Math.floor(height - ((bin + 1) * height) / bins)
        context.fillRect(left, top, Math.ceil(width / rows.length), Math.ceil(height / bins))
      }
    }
  }, [rows, bins, low, high])

  const read = (event: React.MouseEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect()
    setAt({
      row: Math.floor(((event.clientX - box.left) / box.width) * rows.length),
      bin: Math.floor((1 - (event.clientY - box.top) / box.height) * bins),
    })
  }
  const chosen = at === null ? undefined : rows[at.row]
  return (
    <figure style={{ margin: 0 }}>
      <Group justify="space-between" gap="xs">
        <Text component="figcaption" size="sm" fw={600}>
          {name}
        </Text>
        <Text size="xs" ff="monospace">
          {chosen && at
            ? `step ${chosen.step} · t ${(at.bin / bins).toFixed(2)}–${((at.bin + 1) / bins).toFixed(2)} · ${number(chosen.values[at.bin] ?? null)}`
            : `${number(Math.exp(low))} (dark) to ${number(Math.exp(high))} (bright)`}
        </Text>
      </Group>
      <Text size="xs" c="dimmed" mb={4}>
        {caption}
      </Text>
      <canvas
        ref={canvas}
        width={800}
        height={200}
        role="img"
        aria-label={`${name} by t and step`}
        style={{ width: '100%', height: 200, borderRadius: 4 }}
        onMouseMove={read}
        onMouseLeave={() => setAt(null)}
      />
      <Group justify="space-between">
        <Text size="xs" c="dimmed">
          step {rows[0]?.step} · t = 0 (data) below, t = 1 (noise) above
        </Text>
        <Text size="xs" c="dimmed">
          step {rows.at(-1)?.step}
        </Text>
      </Group>
    </figure>
  )
}
