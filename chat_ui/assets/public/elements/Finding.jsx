import { useEffect, useRef, useState } from "react"

const VERDICTS = [["false_alarm", "False alarm"], ["true", "True"], ["expected", "Expected until…"]]

const Finding = ({ anomaly, incident, incidentCount, title, severity, band, lines, text, metrics, note, verdict, blocked, expires, drawn, callAction }) => {
  const top = useRef(null)
  // a card that was drawn just now comes into view; one of a resumed thread stays where it is
  useEffect(() => { window.anomalystShow(top.current, drawn, "start") }, [])
  const [said, setSaid] = useState("")
  const [why, setWhy] = useState("")
  const [until, setUntil] = useState(expires)
  const [whole, setWhole] = useState(Boolean(incident) && incidentCount > 1)
  const [busy, setBusy] = useState(false)
  const mark = async () => {
    setBusy(true)
    const on = whole ? { incident } : { anomaly }
    try {
      await callAction({ name: "mark", payload: { ...on, verdict: said, note: why, expires: said === "expected" ? until : null } })
      setSaid("")
    } finally { setBusy(false) }
  }
  return (
    <section className="an" ref={top} style={{ scrollMarginTop: "4rem" }} aria-label={title}>
      <div className="an-card">
        <div className="an-head">
          <h3>{title}</h3>
          <span className="an-buttons"><span className={`an-tag ${band === "high" || band === "critical" ? "bad" : "warn"}`}>severity {severity} · {band}</span>{verdict && <span className="an-tag ok">marked {verdict}</span>}</span>
        </div>
        <p>{text}</p>
        <p className="an-note" style={{ marginTop: "0.4rem" }}>{note}</p>
        <div className="an-scroll" style={{ marginTop: "0.8rem" }}>
          <table>
            <thead><tr><th>Metric</th><th className="num">Value</th><th className="num">Typical</th><th className="num">z</th><th>Compared with</th><th className="num">Day before</th><th>Part of the score</th></tr></thead>
            <tbody>
              {metrics.map((row) => (
                <tr key={row.feature}>
                  <td className="keep">{row.feature}</td><td className="num keep">{row.value}</td><td className="num keep">{row.typical}</td><td className="num keep">{row.z}</td><td className="against">{row.against}</td><td className="num">{row.before}</td>
                  <td><div className="an-bar" title={row.share} role="img" aria-label={`${row.share} of the score`}><i className={row.above ? "up" : ""} style={{ width: row.share }} /></div></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        {lines.length > 0 && <ul className="an-note" style={{ margin: "0.7rem 0 0", paddingLeft: "1.1rem", listStyle: "disc" }}>{lines.map((each) => <li key={each}>{each}</li>)}</ul>}
      </div>
      <div className="an-card">
        <div className="an-head"><h3>What do you say?</h3><span className="an-note">a verdict changes no score and no baseline</span></div>
        <div className="an-buttons" role="group" aria-label="Verdict">
          {VERDICTS.map(([id, words]) => <button key={id} className={`an-btn ${said === id ? "main" : ""}`} aria-pressed={said === id} disabled={!!blocked} onClick={() => setSaid(said === id ? "" : id)}>{words}</button>)}
          <button className="an-btn" disabled={!!blocked} onClick={() => callAction({ name: "suggest", payload: { anomaly } })}>Suggest adjustment</button>
          <button className="an-btn" disabled={!!blocked} onClick={() => callAction({ name: "missed", payload: { anomaly } })}>Something was missed…</button>
        </div>
        {blocked && <p className="an-note" style={{ marginTop: "0.5rem" }}>{blocked}</p>}
        {said && (
          <div className="an-buttons" style={{ marginTop: "0.7rem" }}>
            <input type="text" className="an-grow" placeholder="Why? (optional, kept with your name)" aria-label="Why" maxLength={500} value={why} onChange={(event) => setWhy(event.target.value)} />
            {said === "expected" && <input type="date" aria-label="Expected until" value={until} onChange={(event) => setUntil(event.target.value)} />}
            {incident && incidentCount > 1 && <label className="an-note"><input type="checkbox" checked={whole} onChange={(event) => setWhole(event.target.checked)} /> all {incidentCount} anomalies of the incident</label>}
            <button className="an-btn main" disabled={busy} onClick={mark}>{busy ? "Recording…" : "Record"}</button>
          </div>
        )}
      </div>
    </section>
  )
}

const Kept = anomalystKept(Finding)
export default <Kept {...props} callAction={callAction} />
