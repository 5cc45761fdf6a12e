import { GENEVAL_TASKS, type PublishedModel } from '@limbeck/contracts'

/** arXiv 2601.08303 (SnapGen++), which re-reports SnapGen's rows by the same authors. */
const SOURCE = 'arXiv 2601.08303'

/**
 * Its GenEval column and its table by task contradict each other for SD3-Medium (.68 and .62, DPG 84.1 and 85.1); kept
 * is the table by task, where the other rows agree.
 */
const NOTES: Readonly<Record<string, string>> = {
  'SD3-Medium': 'the same paper also prints GenEval .68 and DPG 84.1',
}

type Row = [
  name: string,
  billions: number,
  dpg: number,
  geneval: number,
  clip: number,
  tasks: readonly number[] | null,
]

const ROWS: readonly Row[] = [
  ['SnapGen', 0.38, 81.1, 0.66, 0.332, [1, 0.84, 0.6, 0.88, 0.18, 0.45]],
  ['PixArt-alpha', 0.6, 71.1, 0.48, 0.316, [0.98, 0.5, 0.44, 0.8, 0.08, 0.07]],
  ['PixArt-Sigma', 0.6, 80.5, 0.53, 0.317, [0.99, 0.65, 0.46, 0.82, 0.12, 0.12]],
  ['SANA 1.6B', 1.6, 84.8, 0.66, 0.327, [0.99, 0.77, 0.62, 0.88, 0.21, 0.47]],
  ['LUMINA-Next', 2, 74.6, 0.46, 0.309, [0.92, 0.46, 0.48, 0.7, 0.09, 0.13]],
  ['SD3-Medium', 2, 85.1, 0.62, 0.323, [0.98, 0.74, 0.63, 0.67, 0.34, 0.36]],
  ['SDXL', 2.6, 74.7, 0.55, 0.301, [0.98, 0.74, 0.39, 0.85, 0.15, 0.23]],
  ['Playground v2.5', 2.6, 75.5, 0.56, 0.319, [0.98, 0.77, 0.52, 0.84, 0.11, 0.17]],
  ['IF-XL', 5.5, 75.6, 0.61, 0.311, [0.97, 0.74, 0.66, 0.81, 0.13, 0.35]],
  ['SD3.5-Large', 8.1, 85.6, 0.71, 0.326, [0.98, 0.89, 0.73, 0.83, 0.34, 0.47]],
  ['Flux.1-dev', 12, 83.8, 0.66, 0.316, [0.98, 0.81, 0.74, 0.79, 0.22, 0.45]],
  ['SnapGen++ tiny', 0.3, 84.6, 0.69, 0.33, null],
  ['SnapGen++ small', 0.4, 85.2, 0.7, 0.332, null],
  ['SnapGen++ full', 1.6, 87.2, 0.76, 0.338, null],
]

/**
 * Scores that others published, for orientation: prompts, seeds, guidance and detector are theirs, so no gate and no
 * difference is ever taken against them.
 */
export const publishedModels: readonly PublishedModel[] = ROWS.map(
  ([model, billions, dpg, overall, clip, tasks]) => ({
    model,
    parameters: billions * 1e9,
    geneval: {
      overall,
      tasks: tasks && Object.fromEntries(GENEVAL_TASKS.map((task, place) => [task, tasks[place] ?? 0])),
    },
    dpg,
    clip_score: clip,
    source: SOURCE,
    note: NOTES[model] ?? null,
    protocol: 'published',
  }),
)
