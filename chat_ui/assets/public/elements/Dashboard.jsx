import { useEffect, useRef, useState } from "react"

const Buttons = ({ row, callAction }) => {
  const [busy, setBusy] = useState("")
  const act = async (name) => {
    setBusy(name)
    try { await callAction({ name, payload: { incident: row.id } }) } finally { setBusy("") }
  }
  return (
    <div className="an-buttons">
      <button className="an-btn main" disabled={!!busy} onClick={() => act("explain")} aria-label={`Explain ${row.title}`}>{busy === "explain" ? "Explaining…" : "Explain"}</button>
      <button className="an-btn" disabled={!!busy} onClick={() => act("incident")} aria-label={`Look into ${row.title}`}>Look into it</button>
    </div>
  )
}

const Dashboard = ({ title, freshness, warnings, tiles, incidents, incidentsNote, pending, again, drawn, callAction }) => {
  const top = useRef(null)
  useEffect(() => { if (again) window.anomalystShow(top.current, drawn, "start") }, [])
  return (
    <section className="an" ref={top} style={{ scrollMarginTop: "4rem" }} aria-label="Fleet dashboard">
      <div className="an-head" style={{ marginBottom: 0 }}>
        <h2>{title}</h2>
        <span className="an-note">{freshness}</span>
      </div>
      {warnings.map((each) => <div className="an-warning" key={each} role="status">{each}</div>)}
      <div className="an-tiles">
        {tiles.map((tile) => (
          <div className={`an-tile ${tile.tone}`} key={tile.name}><span>{tile.name}</span><b>{tile.value}</b><span>{tile.note}</span></div>
        ))}
      </div>
      {pending.length > 0 && (
        <div className="an-card">
          <div className="an-head"><h3>Waiting for a decision</h3><span className="an-note">nothing changes before a person approves</span></div>
          <div className="an-list">
            {pending.map((each) => (
              <div className="an-row two" key={each.id}>
                <div><strong>{each.title}</strong><div className="an-note">{each.note}</div></div>
                <div className="an-buttons"><button className="an-btn main" aria-label={`Preview and decide: ${each.title}`} onClick={() => callAction({ name: "open", payload: { suggestion: each.id } })}>Preview and decide</button></div>
              </div>
            ))}
          </div>
        </div>
      )}
      <div className="an-card">
        <div className="an-head"><h3>Open incidents, worst first</h3><span className="an-note">{incidentsNote}</span></div>
        <div className="an-list">
          {incidents.map((row) => (
            <div className="an-row" key={row.id}>
              <div className={`an-sev ${row.band}`}>{row.severity}<small>{row.band}</small></div>
              <div><strong>{row.title}</strong><div className="an-note">{row.note}</div></div>
              <Buttons row={row} callAction={callAction} />
            </div>
          ))}
          {incidents.length === 0 && <p className="an-note">Nothing is open.</p>}
        </div>
      </div>
    </section>
  )
}

const Kept = anomalystKept(Dashboard)
export default <Kept {...props} callAction={callAction} />
