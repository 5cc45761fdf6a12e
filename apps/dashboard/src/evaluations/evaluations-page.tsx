import type { EvaluationView } from '@limbeck/contracts'
import { Alert, Button, Group, Select, Stack, Text, Title } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { useCallback, useEffect, useMemo, useRef } from 'react'
import { Answer } from '../components/answer.tsx'
import classes from './evaluations.module.css'
import { groupByProtocol, protocolTitle } from './protocol.ts'
import { ProtocolSection } from './protocol-section.tsx'
import { PublishedSection } from './published-section.tsx'
import { NEWEST, useEvaluations } from './queries.ts'
import type { EvaluationsSearch } from './search.ts'

export interface EvaluationsPageProps {
  search: EvaluationsSearch
  onSearch: (change: Partial<EvaluationsSearch>) => void
  /** Opens the votes on these ("evl_a,evl_b", or '' to choose there); left out, there is no way to them. */
  onVote?: ((evaluations: string) => void) | undefined
}

/** Results by protocol: only those of one table are compared with each other. */
export function EvaluationsPage({ search, onVote, ...props }: EvaluationsPageProps) {
  const latest = useRef(props.onSearch)
  latest.current = props.onSearch
  // One function for all renders: rows of the tables are made anew only for news of their own.
  const onSearch = useCallback((change: Partial<EvaluationsSearch>) => latest.current(change), [])
  const query = useEvaluations(search.run)
  useEffect(() => {
    document.title = 'Evaluations · Limbeck'
  }, [])
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Evaluations
      </Title>
      <Answer
        query={query}
        empty={({ evaluations }) =>
          evaluations.length > 0
            ? null
            : search.run === undefined
              ? 'Nothing has been evaluated yet. ./limbeck demo evaluates seven models.'
              : `The run ${search.run} has evaluated nothing yet.`
        }
      >
        {({ evaluations }) => <Groups {...{ evaluations, search, onSearch, onVote }} />}
      </Answer>
      <PublishedSection />
    </Stack>
  )
}

function Groups({
  evaluations,
  search,
  onSearch,
  onVote,
}: EvaluationsPageProps & { evaluations: EvaluationView[] }) {
  const groups = useMemo(() => groupByProtocol(evaluations), [evaluations])
  const named = evaluations.find(({ id }) => id === search.evaluation)
  const shown = groups.filter(({ hash }) => search.protocol === undefined || hash === search.protocol)
  const absent = (id: string | undefined): boolean =>
    id !== undefined && !evaluations.some((one) => one.id === id)
  return (
    <>
      <Group gap="sm" align="end">
        <Select
          label="Protocol"
          placeholder={`all ${groups.length}`}
          clearable
          clearButtonProps={{ 'aria-label': 'All protocols' }}
          data={groups.map(({ hash, protocol }) => ({
            value: hash,
            label: `${protocolTitle(protocol)} (${hash.slice(0, 8)})`,
          }))}
          value={search.protocol ?? null}
          onChange={(protocol) => onSearch({ protocol: protocol ?? undefined })}
          w={340}
        />
        {search.run !== undefined && (
          <Group gap="xs">
            <Text size="sm">
              Only of{' '}
              <Link className={classes.link} to={`/runs/${search.run}`}>
                {search.run}
              </Link>
            </Text>
            <Button size="xs" variant="default" onClick={() => onSearch({ run: undefined })}>
              All runs
            </Button>
          </Group>
        )}
        {onVote !== undefined && (
          <Button size="xs" variant="default" onClick={() => onVote('')}>
            Vote on pictures, blind
          </Button>
        )}
        <Text className={classes.note} role="status">
          {evaluations.length} evaluations
          {evaluations.length === NEWEST && ', the newest; older ones are listed with their run'}
        </Text>
      </Group>
      {[search.evaluation, search.baseline].filter(absent).map((id) => (
        <Alert key={id} color="yellow" title="An evaluation of this address is not in the list">
          {id} is not among the {evaluations.length} {search.run === undefined ? 'newest' : 'of this run'}.
        </Alert>
      ))}
      {shown.length === 0 && (
        <Text role="status">No evaluation has the protocol {search.protocol?.slice(0, 12)}.</Text>
      )}
      {shown.map((group) => (
        <ProtocolSection
          key={group.hash}
          group={group}
          open={named}
          baseline={group.results.find(({ id }) => id === search.baseline) ?? null}
          onSearch={onSearch}
          onVote={onVote}
        />
      ))}
    </>
  )
}
