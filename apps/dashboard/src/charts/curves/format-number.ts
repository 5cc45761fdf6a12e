const SUPERSCRIPT: Record<string, string> = Object.fromEntries(
  [...'0123456789-'].map((digit, index) => [digit, '⁰¹²³⁴⁵⁶⁷⁸⁹⁻'[index] ?? '']),
)

/** 16 as "¹⁶". */
export const superscript = (exponent: number): string =>
  [...String(exponent)].map((digit) => SUPERSCRIPT[digit] ?? '').join('')

const WHOLE = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 })

/** Whole numbers with separators: "84,000". */
export const formatWhole = (value: number): string => WHOLE.format(value)

/** Steps and images on an axis: "500", "10k", "1.25M". */
export function formatCount(value: number): string {
  for (const [size, unit] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e4, 'k'],
  ] as const) {
    if (Math.abs(value) >= size) {
      const divisor = unit === 'k' ? 1000 : size
      return `${Number((value / divisor).toPrecision(6))}${unit}`
    }
  }
  return formatWhole(value)
}

/** By digits; making one takes longer than all else that a move of the cursor does. */
const SIGNIFICANT = new Map<number, Intl.NumberFormat>()

function significant(digits: number): Intl.NumberFormat {
  const known = SIGNIFICANT.get(digits)
  if (known) return known
  const made = new Intl.NumberFormat('en-GB', { maximumSignificantDigits: digits })
  SIGNIFICANT.set(digits, made)
  return made
}

/**
 * A number for people: `digits` significant ones, separators from 1,000 on, powers of ten outside 1e-4 to 1e6.
 * Non-finite values by their names: they are news, not gaps.
 */
export function formatNumber(value: number | string | null, digits = 4): string {
  if (value === null) return '–'
  if (typeof value === 'string') return value
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) {
    const [mantissa, exponent] = value.toExponential(digits - 1).split('e')
    const factor = String(Number(mantissa))
    const power = `10${superscript(Number(exponent))}`
    return factor === '1' ? power : factor === '-1' ? `-${power}` : `${factor}×${power}`
  }
  return significant(digits).format(value)
}

/** Enough digits that two ticks `gap` apart read differently. */
export function formatTick(value: number, gap: number): string {
  // Adding steps leaves a residue at zero, as 5.6e-17.
  if (Math.abs(value) < gap * 1e-6) return '0'
  const digits = gap > 0 ? Math.ceil(Math.log10(Math.abs(value) / gap) - 1e-9) + 1 : 4
  return formatNumber(value, Math.min(12, Math.max(3, digits)))
}
