/** Writes docs/openapi.json: `npm run openapi --workspace @limbeck/api`. A test fails where it differs. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '@limbeck/platform'
import { openApiDocument } from './openapi-document.ts'

writeFileSync(
  join(repositoryRoot, 'docs/openapi.json'),
  `${JSON.stringify(await openApiDocument(), null, 1)}\n`,
)
