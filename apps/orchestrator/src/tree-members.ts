import type { TreeManifest } from '@limbeck/contracts'
import { artifactStates, type Store } from '@limbeck/store'

const CHUNK = 5_000

/** What a tree still needs: files that are being hashed, and the path of one that nobody has sent. */
export async function missingFiles(
  store: Store,
  { files }: TreeManifest,
): Promise<{ pending: boolean; absent: string | null }> {
  let pending = false
  let absent: string | null = null
  for (let start = 0; start < files.length; start += CHUNK) {
    const chunk = files.slice(start, start + CHUNK)
    const states = await artifactStates(store, [...new Set(chunk.map((file) => file.sha256))])
    for (const file of chunk) {
      const state = states.get(file.sha256) ?? 'absent'
      if (state === 'pending') pending = true
      if (state === 'absent') absent ??= file.path
    }
  }
  return { pending, absent }
}
