import { StageState } from '@limbeck/contracts'

/** "state IN ('running', ...)" from a predicate of core, so that no statement spells states out and partial indexes match. */
export const stateIs = (predicate: (state: StageState) => boolean, column = 'state'): string =>
  `${column} IN (${StageState.options
    .filter(predicate)
    .map((state) => `'${state}'`)
    .join(', ')})`
