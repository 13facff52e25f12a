import { useMemo, useState } from "react"

const PAGE = 10
// how a cell begins that Excel or Calc takes for a formula; the server's own exports use the same rule
const FORMULA = /^\s*[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/
const cell = (value) => {
  const text = value === null || value === undefined ? "" : String(value)
  const safe = typeof value === "string" && FORMULA.test(text) ? `'${text}` : text
  return `"${safe.replaceAll('"', '""')}"`
}

const Sheet = ({ title, note, columns, rows, name, numeric }) => {
  const [order, setOrder] = useState(null)
  const [page, setPage] = useState(0)
  const sorted = useMemo(() => {
    if (order === null) return rows
    const { at, down } = order
    const compare = (one, other) => (typeof one[at] === "number" && typeof other[at] === "number" ? one[at] - other[at] : String(one[at] ?? "").localeCompare(String(other[at] ?? "")))
    return [...rows].sort((one, other) => (down ? -compare(one, other) : compare(one, other)))
  }, [order, rows])
  const download = () => {
    const text = [columns, ...sorted].map((row) => row.map(cell).join(",")).join("\r\n")
    const link = document.createElement("a")
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }))
    link.download = `${name}.csv`
    link.click()
    URL.revokeObjectURL(link.href)
  }
  const pages = Math.max(1, Math.ceil(rows.length / PAGE))
  return (
    <section className="an" aria-label={title}>
      <div className="an-card">
        <div className="an-head"><h3>{title}</h3><span className="an-buttons"><span className="an-note">{note}</span><button className="an-btn" aria-label={`Download ${title} as CSV`} onClick={download}>CSV</button></span></div>
        <div className="an-scroll"><table>
          <thead><tr>{columns.map((each, at) => <th key={each} className={numeric[at] ? "num" : ""} aria-sort={order?.at === at ? (order.down ? "descending" : "ascending") : "none"}><button aria-label={`Sort by ${each}`} onClick={() => { setPage(0); setOrder({ at, down: order?.at === at ? !order.down : numeric[at] }) }}>{each}{order?.at === at ? (order.down ? " ↓" : " ↑") : ""}</button></th>)}</tr></thead>
          <tbody>{sorted.slice(page * PAGE, page * PAGE + PAGE).map((row, place) => <tr key={place}>{row.map((value, at) => <td key={at} className={numeric[at] ? "num" : ""}>{typeof value === "number" ? value.toLocaleString("en-US", { maximumFractionDigits: 3 }) : value}</td>)}</tr>)}</tbody>
        </table></div>
        {pages > 1 && <div className="an-buttons" style={{ marginTop: "0.6rem" }}><button className="an-btn" aria-label={`Previous page of ${title}`} disabled={page === 0} onClick={() => setPage(page - 1)}>Previous</button><span className="an-note" role="status">page {page + 1} of {pages}, {rows.length} rows</span><button className="an-btn" aria-label={`Next page of ${title}`} disabled={page + 1 >= pages} onClick={() => setPage(page + 1)}>Next</button></div>}
      </div>
    </section>
  )
}

const Kept = anomalystKept(Sheet)
export default <Kept {...props} />
