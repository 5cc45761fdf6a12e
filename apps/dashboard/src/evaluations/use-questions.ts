import type { EvaluationView } from '@limbeck/contracts'
import { useMemo } from 'react'
import { sheetFolder, useSheet } from '../samples/queries.ts'
import { foreignVerdicts } from '../samples/sheet.ts'
import { useArtifacts } from './queries.ts'
import { type Question, questionsOfProtocol, questionsOfSheet } from './questions.ts'

const NOBODY: readonly EvaluationView[] = []

/** The questions of a baseline's protocol: exact from its sheet, or by the protocol alone, with a note that says so. */
export function useQuestions(baseline: EvaluationView | null): {
  questions: readonly Question[] | null
  note: string | null
} {
  const { byStage, error } = useArtifacts(baseline === null ? NOBODY : [baseline])
  const artifact = baseline === null ? null : (byStage.get(baseline.stage) ?? null)
  const query = useSheet(artifact, sheetFolder(baseline?.protocol.steps ?? 1))
  const sheet = query.data?.sheet
  const known = baseline !== null && byStage.has(baseline.stage)
  return useMemo(() => {
    if (baseline === null) return { questions: null, note: null }
    if (sheet !== undefined && foreignVerdicts(sheet, baseline.verdicts) === 0)
      return { questions: questionsOfSheet(sheet), note: null }
    const waiting =
      error === null && query.error === null && sheet === undefined && (!known || artifact !== null)
    if (waiting) return { questions: null, note: 'The prompts are loading.' }
    const questions = questionsOfProtocol(baseline.protocol)
    return questions.length === baseline.verdicts.length
      ? {
          questions,
          note: 'The baseline’s sheet could not be read: equal prompts count as different ones, so intervals are too narrow.',
        }
      : { questions: null, note: 'Without the baseline’s sheet it is not known which picture has which tag.' }
  }, [baseline, sheet, error, query.error, known, artifact])
}
