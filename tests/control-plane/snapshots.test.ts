import { execFile } from 'node:child_process'
import { cp, mkdtemp, rename, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Plane, showLogOnFailure, startPlane } from './support/plane.ts'

const root = join(import.meta.dirname, '../..')
const committed = join(root, 'snapshots/tiny-sd3')
const licence = 'Apache-2.0'

let plane: Plane
let folder: string
beforeAll(async () => {
  plane = await startPlane()
  folder = await mkdtemp(join(tmpdir(), 'limbeck-snapshots-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
beforeEach(() => showLogOnFailure(plane))

interface Ended {
  status: number
  stdout: string
  stderr: string
}

/** The command as a user runs it, in a process of its own. */
const snapshots = (...words: string[]): Promise<Ended> => limbeck('snapshots', ...words)

const limbeck = (...words: string[]): Promise<Ended> =>
  new Promise((resolve) => {
    const env = { ...process.env, LIMBECK_API: plane.api.url, LIMBECK_TOKEN: plane.secrets.submitter }
    execFile(
      process.execPath,
      [join(root, 'apps/cli/src/main.ts'), ...words],
      { env, timeout: 60_000 },
      (error, stdout, stderr) => resolve({ status: Number(error?.code ?? 0), stdout, stderr }),
    )
  })

describe('limbeck snapshots', () => {
  it('stores a folder once under its name, and lists it', async () => {
    const words = ['add', committed, '--name', 'tiny', '--licence', licence]
    const first = await snapshots(...words, '--json')
    expect(first).toMatchObject({ status: 0 })
    expect(first.stderr).toMatch(/transformer \(\d+ tensors\).*vae \(\d+ tensors\)/)
    const asset = JSON.parse(first.stdout)
    expect(asset).toMatchObject({ name: 'tiny', kind: 'snapshot', licence })
    const again = await snapshots(...words)
    expect(again).toMatchObject({ status: 0, stdout: `asset:tiny ${asset.digest}\n` })
    const { stdout } = await snapshots('list', '--json')
    expect(JSON.parse(stdout)).toEqual([asset])
  })

  it('sends nothing of a folder that no worker could load, and says why', async () => {
    const broken = join(folder, 'broken')
    await cp(committed, broken, { recursive: true })
    await truncate(join(broken, 'vae/diffusion_pytorch_model.safetensors'), 1000)
    await rename(join(broken, 'transformer/config.json'), join(broken, 'transformer/lost.json'))
    const { status, stderr, stdout } = await snapshots(
      'add',
      broken,
      '--name',
      'broken',
      '--licence',
      licence,
    )
    expect([status, stdout]).toEqual([1, ''])
    expect(stderr).toContain('is no snapshot that a worker could load')
    expect(stderr).toContain('vae/diffusion_pytorch_model.safetensors cannot be read')
    expect(stderr).toContain('transformer lacks config.json')
    const { stdout: listed } = await snapshots('list', '--json')
    expect(JSON.parse(listed).map(({ name }: { name: string }) => name)).not.toContain('broken')
  })

  it.each([
    [['add', committed, '--name', 'Not A Name', '--licence', licence], /--name: "Not A Name"/],
    [['add', committed, '--name', 'unlicensed'], /required option '--licence/],
    [['add', join(root, 'absent'), '--name', 'absent', '--licence', licence], /is no folder/],
  ])('refuses %j', async (words, message) => {
    const { status, stderr } = await snapshots(...words)
    expect(status).not.toBe(0)
    expect(stderr).toMatch(message)
  })
})

describe('limbeck assets', () => {
  it('names what is stored already, once', async () => {
    const { stdout } = await snapshots('list', '--json')
    const [{ digest }] = JSON.parse(stdout)
    const words = ['assets', 'name', digest, '--kind', 'model', '--licence', licence]
    expect(await limbeck(...words, '--name', 'snapgen-256')).toMatchObject({
      status: 0,
      stdout: `asset:snapgen-256 ${digest}\n`,
    })
    const listed = await limbeck('assets', 'list')
    expect(listed.stdout).toMatch(new RegExp(`snapgen-256 +model +${digest}`))
    const other = await limbeck(...words.with(2, 'f'.repeat(64)), '--name', 'snapgen-512')
    expect(other.status).toBe(1)
    expect(other.stderr).toMatch(/unknown|no artifact|not/)
    const wrong = await limbeck(...words.with(4, 'picture'), '--name', 'x')
    expect(wrong.stderr).toMatch(/kind: .*dataset/)
  })
})
