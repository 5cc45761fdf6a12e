import { binText } from './grid.ts'
import classes from './heat-map.module.css'
import type { Lead } from './lead.ts'

/** The shares as numbers, for everyone: behind a disclosure, since it has a row a bin. */
export function LeadTable({ lead, title }: { lead: Lead; title: string }) {
  const { bins, terms, shares, reasons } = lead
  return (
    <details className={`${classes.note} ${classes.details}`}>
      <summary>Shares as a table</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
      <section className={classes.scroll} tabIndex={0} aria-label={`${title}: table`}>
        <table className={classes.table}>
          <caption className={classes.note}>{title}: share of each term by t</caption>
          <thead>
            <tr>
              <th scope="col">t</th>
              {terms.map(({ key, label }) => (
                <th key={key} scope="col">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {reasons.map((reason, bin) => (
              <tr key={binText(bin, bins)}>
                <th scope="row">{binText(bin, bins)}</th>
                {reason === null ? (
                  terms.map(({ key }, term) => (
                    <td key={key}>{`${(100 * (shares[term]?.[bin] ?? 0)).toFixed(1)} %`}</td>
                  ))
                ) : (
                  <td colSpan={terms.length}>{reason}</td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  )
}
