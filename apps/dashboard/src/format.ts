export function duration(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds)) return '–'
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60
    ? `${minutes} min ${Math.round(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

export const since = (time: string | null, now: number): string =>
  time === null ? '–' : `${duration((now - Date.parse(time)) / 1000)} ago`

/** Four significant digits; non-finite values by name: they are news, not gaps. */
export const number = (value: number | string | null): string =>
  value === null ? '–' : typeof value === 'string' ? value : Number(value.toPrecision(4)).toString()
