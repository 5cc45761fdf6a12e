import type { StageView } from '@limbeck/contracts'
import { Card, SimpleGrid, Stack, Text } from '@mantine/core'
import { useQueries } from '@tanstack/react-query'
import { useMemo } from 'react'
import { api } from '../api.ts'
import { histogramRows } from '../charts/curves/histogram.ts'
import { HistogramChart } from '../charts/curves/histogram-chart.tsx'
import { Lazy } from '../charts/curves/lazy.tsx'
import { Curves } from './curves.tsx'
import { useSeries } from './queries.ts'
import type { PageState } from './search.ts'

/** Of the logits in `discriminator/histogram_*`, as workers log them. */
const LOGITS = { low: -4, high: 4 }

const ofAdversary = (name: string): boolean =>
  /^(discriminator\/(accuracy|logit_(real|fake)$|r1)|gradient\/|loss\/(discriminator|adversarial|task))/.test(
    name,
  )

/** Whether the discriminator wins too fast: its accuracy, its logits, R1 and the generator's gradient by term. */
export function Ladd({ run, stage, search, onSearch }: PageState & { run: string; stage: StageView }) {
  const query = useSeries(run)
  const taps = useMemo(
    () =>
      query.data?.series
        .filter(
          ({ stage: of, name }) => of === stage.id && name.startsWith('discriminator/histogram_real_tap'),
        )
        .map(({ name }) => name.replace('discriminator/histogram_real_tap', ''))
        .sort((a, b) => Number(a) - Number(b)) ?? [],
    [query.data, stage.id],
  )
  return (
    <Stack gap="md">
      <Text size="sm">
        Healthy: accuracy on real and fake between 0.6 and 0.9, histograms that overlap, R1 that falls, and
        the adversarial gradient below that of the reconstruction. The stage stops by itself when the accuracy
        stays above its limit: then the discriminator has won and its gradient says nothing.
      </Text>
      <Curves run={run} stage={stage} search={search} onSearch={onSearch} only={ofAdversary} />
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        {taps.map((tap) => (
          <Card key={tap} withBorder padding="sm">
            <Lazy height={220} label={`logits at block ${tap}`}>
              <Logits stage={stage.id} tap={tap} />
            </Lazy>
          </Card>
        ))}
      </SimpleGrid>
    </Stack>
  )
}

function Logits({ stage, tap }: { stage: string; tap: string }) {
  const [real, fake] = useQueries({
    queries: ['real', 'fake'].map((side) => {
      const name = `discriminator/histogram_${side}_tap${tap}`
      return { queryKey: ['metrics', stage, name, 'rows'], queryFn: () => api.arrays(stage, name) }
    }),
  })
  const rows = useMemo(
    () => ({
      real: real?.data ? histogramRows(real.data) : [],
      fake: fake?.data ? histogramRows(fake.data) : [],
    }),
    [real?.data, fake?.data],
  )
  const problem = real?.error ?? fake?.error
  if (problem) return <Text c="red">{problem.message}</Text>
  return <HistogramChart title={`Logits at block ${tap}`} real={rows.real} fake={rows.fake} range={LOGITS} />
}
