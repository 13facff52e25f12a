import { useEffect, useRef, useState } from "react"

const Buttons = ({ row }) => {
  const [busy, setBusy] = useState("")
  const act = async (name) => {
    setBusy(name)
    await callAction({ name, payload: { incident: row.id } })
    setBusy("")
  }
  return (
    <div className="an-buttons">
      <button className="an-btn main" disabled={!!busy} onClick={() => act("explain")} aria-label={`Explain ${row.title}`}>{busy === "explain" ? "Explaining…" : "Explain"}</button>
      <button className="an-btn" disabled={!!busy} onClick={() => act("incident")} aria-label={`Look into ${row.title}`}>Look into it</button>
    </div>
  )
}

export default function Dashboard() {
  const { title, freshness, warnings, tiles, incidents, incidentsNote, facts, levels, levelsNote, pending, rules, questions, again, drawn } = props
  const top = useRef(null)
  useEffect(() => { if (again && Date.now() - drawn < 20000) top.current?.scrollIntoView({ block: "start", behavior: "smooth" }) }, [])
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
              <div className="an-row" key={each.id} style={{ gridTemplateColumns: "minmax(0,1fr) auto" }}>
                <div><strong>{each.title}</strong><div className="an-note">{each.note}</div></div>
                <div className="an-buttons"><button className="an-btn main" onClick={() => callAction({ name: "open", payload: { suggestion: each.id } })}>Preview and decide</button></div>
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
              <Buttons row={row} />
            </div>
          ))}
          {incidents.length === 0 && <p className="an-note">Nothing is open.</p>}
        </div>
      </div>
      <div className="an-cols">
        <div className="an-card">
          <div className="an-head"><h3>Detector</h3></div>
          <dl>{facts.map(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name} is`}>{value}</dd>])}</dl>
        </div>
        <div className="an-card">
          <div className="an-head"><h3>Baselines in force</h3><span className="an-note">{levelsNote}</span></div>
          <table>
            <thead><tr><th>Level</th><th className="num">Groups</th><th className="num">Adjusted</th></tr></thead>
            <tbody>{levels.map((each) => <tr key={each.level}><td>{each.level}</td><td className="num">{each.groups}</td><td className="num">{each.adjusted}</td></tr>)}</tbody>
          </table>
          {rules.length > 0 && <p className="an-note" style={{ marginTop: "0.6rem" }}>{rules.join(" · ")}</p>}
        </div>
      </div>
      <div className="an-buttons" role="group" aria-label="Questions to start with">
        {questions.map((each) => <button className="an-btn an-chip" key={each} onClick={() => sendUserMessage(each)}>{each}</button>)}
      </div>
    </section>
  )
}
