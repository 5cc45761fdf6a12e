import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { getPreset } from '@limbeck/core'
import { repositoryRoot } from '@limbeck/platform'
import { expect, it } from 'vitest'
import { Description } from '../src/model/costs.ts'

function limbeck(...argv: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(repositoryRoot, 'apps/cli/src/main.ts'), 'model', ...argv],
    { encoding: 'utf8', timeout: 120_000 },
  )
  return { status, stdout, stderr }
}

it('describes a model as JSON and as a table, with what was set', { timeout: 120_000 }, () => {
  const plain = Description.parse(JSON.parse(limbeck('describe', 'tiny-unet', '--json').stdout))
  const spec = getPreset('tiny-shapes')?.stages.find(({ name }) => name === 'pretrain')?.spec
  const latent = spec?.kind === 'pretrain' ? spec.model.latent_size : undefined
  expect(plain).toMatchObject({ latent_size: latent, parameters: 240_244 })

  const { stdout, status } = limbeck('describe', 'tiny-unet', '--set', 'attention=mha')
  expect(status).toBe(0)
  expect(stdout).toMatch(/^tiny-unet, with attention=mha: latent 16x16, 6 text tokens\n/)
  expect(stdout).toMatch(/^down\.0 +\d/m)
  expect(stdout).toMatch(/^total +\d\d\d,\d{3} +100\.0 %/m)

  const wrong = limbeck('describe', 'tiny-unet', '--latent-size', '15')
  expect(wrong).toEqual({
    status: 2,
    stdout: '',
    stderr: 'limbeck: latent_size 15 cannot be halved 2 times, as 3 stages need\n',
  })
})
