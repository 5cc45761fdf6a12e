import { Card, Table, Text, Title } from '@mantine/core'
import { Answer } from '../components/answer.tsx'
import classes from './evaluations.module.css'
import { parametersText, scoreText } from './numbers.ts'
import { usePublished } from './queries.ts'
import { WideTable } from './wide-table.tsx'

/** What others printed of their models. There is no difference and no baseline here on purpose. */
export function PublishedSection() {
  const query = usePublished()
  return (
    <Card withBorder padding="sm" component="section" aria-label="Published elsewhere">
      <Title order={2} size="h4">
        Published elsewhere
      </Title>
      <Text className={classes.note} mb="xs">
        Published, other protocol: by others, on other prompts, with other detectors: for orientation, never
        subtracted from the results above.
      </Text>
      <Answer query={query} empty={({ models }) => (models.length === 0 ? 'Nothing is listed.' : null)}>
        {({ models }) => {
          const tags = [...new Set(models.flatMap(({ geneval }) => Object.keys(geneval.tasks ?? {})))]
          return (
            <WideTable minWidth={980} label="Published results">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Model</Table.Th>
                  <Table.Th>Protocol</Table.Th>
                  <Table.Th ta="right">GenEval</Table.Th>
                  {tags.map((tag) => (
                    <Table.Th key={tag} ta="right">
                      {tag}
                    </Table.Th>
                  ))}
                  <Table.Th ta="right">Parameters</Table.Th>
                  <Table.Th ta="right">DPG</Table.Th>
                  <Table.Th ta="right">CLIP score</Table.Th>
                  <Table.Th>Source</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {models.map((model) => (
                  <Table.Tr key={model.model}>
                    <Table.Td>{model.model}</Table.Td>
                    <Table.Td>
                      <Text className={classes.note}>published, other protocol</Text>
                    </Table.Td>
                    <Table.Td ta="right">{model.geneval.overall.toFixed(2)}</Table.Td>
                    {tags.map((tag) => (
                      <Table.Td key={tag} ta="right">
                        {model.geneval.tasks?.[tag]?.toFixed(2) ?? '–'}
                      </Table.Td>
                    ))}
                    <Table.Td ta="right">{parametersText(model.parameters)}</Table.Td>
                    <Table.Td ta="right">{scoreText(model.dpg)}</Table.Td>
                    <Table.Td ta="right">{scoreText(model.clip_score)}</Table.Td>
                    <Table.Td>
                      <Text className={classes.note}>
                        {model.source}
                        {model.note !== null && `; ${model.note}`}
                      </Text>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </WideTable>
          )
        }}
      </Answer>
    </Card>
  )
}
