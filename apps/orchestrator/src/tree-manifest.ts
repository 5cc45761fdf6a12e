import { TreeManifest } from '@limbeck/contracts'
import { canonicalJson, fail, ok, type Result } from '@limbeck/core'
import type { ObjectStore } from '@limbeck/platform'

/** 100,000 files of 500-character paths stay below this. */
const MANIFEST_BYTES = 80 * 1024 ** 2

/** Forward slashes, no empty, "." or ".." part: a path that stays below the folder it is unpacked in. */
export const isTreePath = (path: string): boolean =>
  !path.includes('\\') &&
  !path.includes('\0') &&
  path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')

/** The manifest that a tree's bytes are, or what is wrong with them. */
export function parseManifest(text: string): Result<TreeManifest, string> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return fail('a manifest that is not JSON')
  }
  const parsed = TreeManifest.safeParse(json)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    return fail(`a manifest whose ${issue?.path.join('.') || 'root'} is wrong: ${issue?.message}`)
  }
  const { files } = parsed.data
  const bad = files.find((file) => !isTreePath(file.path))
  if (bad) return fail(`a manifest with the path ${JSON.stringify(bad.path)}`)
  const unsorted = files.find((file, index) => index > 0 && (files[index - 1]?.path ?? '') >= file.path)
  if (unsorted) return fail(`a manifest whose paths are not sorted and distinct at ${unsorted.path}`)
  // Two spellings of one tree would be two artifacts.
  return canonicalJson(json) === text ? ok(parsed.data) : fail('a manifest that is not canonical JSON')
}

export async function readManifest(
  objects: ObjectStore,
  key: string,
  size: number,
): Promise<Result<TreeManifest, string>> {
  if (size > MANIFEST_BYTES) return fail(`a manifest of ${size} bytes; at most ${MANIFEST_BYTES}`)
  return parseManifest((await objects.readObject(key, MANIFEST_BYTES)).toString('utf8'))
}
