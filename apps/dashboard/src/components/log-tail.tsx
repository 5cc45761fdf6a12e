import { Code, ScrollArea } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { api } from '../api.ts'
import { Answer } from './answer.tsx'

/** The last lines of a stage's log, over all its attempts. */
export function LogTail({ stage }: { stage: string }) {
  const query = useQuery({ queryKey: ['logs', stage], queryFn: () => api.logs(stage, 0) })
  return (
    <Answer query={query} empty={(page) => (page.lines.length === 0 ? 'No line yet' : null)}>
      {(page) => (
        <ScrollArea.Autosize mah={320} type="auto">
          <Code block>
            {page.lines
              .slice(-400)
              .map((line) => `${line.time.slice(11, 23)} ${line.text}`)
              .join('\n')}
          </Code>
        </ScrollArea.Autosize>
      )}
    </Answer>
  )
}
