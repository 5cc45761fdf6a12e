import { queryOptions, useQuery } from '@tanstack/react-query'
import { request } from '../api.ts'
import { Sheet, sheetSize } from './sheet.ts'

/** A sheet with the address of its picture, or why there is none: the verdicts can be read without it. */
export interface LoadedSheet {
  sheet: Sheet
  url: string | null
  problem: string | null
}

const fileUrl = (artifact: string, path: string, inline: boolean): string =>
  `/v1/artifacts/${artifact}/files/${path}${inline ? '?inline=1' : ''}`

/** Folder of a protocol's pictures in the output of an evaluate stage. */
export const sheetFolder = (steps: number): string => `steps-${steps}`

/** Artifacts never change: a sheet is asked for once. */
export const sheetQuery = (artifact: string, folder: string) =>
  queryOptions({
    queryKey: ['sheet', artifact, folder],
    queryFn: () => loadSheet(artifact, folder),
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  })

export const useSheet = (artifact: string | null, folder: string) =>
  useQuery({ ...sheetQuery(artifact ?? '', folder), enabled: artifact !== null })

async function loadSheet(artifact: string, folder: string): Promise<LoadedSheet> {
  const path = `${folder}/sheet.png`
  const [sheet, picture] = await Promise.all([
    request(fileUrl(artifact, `${folder}/sheet.json`, true), Sheet),
    // Above 8 MiB the API does not answer the bytes itself; an image may follow its redirect, a fetch may not.
    decoded(fileUrl(artifact, path, true)).catch(() =>
      decoded(fileUrl(artifact, path, false)).catch(() => null),
    ),
  ])
  if (picture === null)
    return { sheet, url: null, problem: `${path} could not be read: verdicts without pictures` }
  const { width, height } = sheetSize(sheet)
  if (picture.naturalWidth !== width || picture.naturalHeight !== height)
    return {
      sheet,
      url: null,
      problem: `${path} is ${picture.naturalWidth} x ${picture.naturalHeight} pixels, its index describes ${width} x ${height}`,
    }
  return { sheet, url: picture.src, problem: null }
}

/** Off the main thread, so that the first tile does not wait for the whole sheet in a frame. */
async function decoded(url: string): Promise<HTMLImageElement> {
  const image = new Image()
  image.src = url
  await image.decode()
  return image
}
