/** Shown in a page. Nothing that could run a script: the object store may share the API's host, and so its cookies. */
const INLINE: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  txt: 'text/plain; charset=utf-8',
  log: 'text/plain; charset=utf-8',
  md: 'text/plain; charset=utf-8',
  csv: 'text/plain; charset=utf-8',
}

/** Headers that the object store shall answer with for a file of a tree. */
export function contentOf(path: string): { contentType: string; contentDisposition: string } {
  const name = path.split('/').at(-1) ?? 'file'
  const type = INLINE[name.split('.').at(-1)?.toLowerCase() ?? '']
  const plain = name.replaceAll(/[^A-Za-z0-9._-]/g, '_')
  return {
    contentType: type ?? 'application/octet-stream',
    contentDisposition: `${type === undefined ? 'attachment' : 'inline'}; filename="${plain}"`,
  }
}
