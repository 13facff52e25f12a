import { useEffect, useRef, useState } from "react"

const Examples = ({ title, rows }) => rows.length > 0 && (
  <details style={{ marginTop: "0.7rem" }}>
    <summary>{title}</summary>
    <div className="an-scroll"><table>
      <thead><tr><th>Device</th><th>Time</th><th>Metric</th><th className="num">Severity before</th><th className="num">after</th><th>Verdict</th></tr></thead>
      <tbody>{rows.map((row) => <tr key={row.anomaly}><td>{row.device}</td><td>{row.time}</td><td>{row.metric}</td><td className="num">{row.before}</td><td className="num">{row.after}</td><td>{row.verdict}</td></tr>)}</tbody>
    </table></div>
  </details>
)

const Approval = ({ suggestion, digest, preview, title, status, statusTone, statusNote, reason, moves, settings, facts, counts, totals, gate, hidden, removed, added, canDecide, blocked, overrides, refusal, drawn, callAction }) => {
  const top = useRef(null)
  // a card that was drawn just now comes into view; one of a resumed thread stays where it is
  useEffect(() => { window.anomalystShow(top.current, drawn, "start") }, [])
  const [why, setWhy] = useState("")
  // what was accepted of one preview's checks is not accepted of another's
  const [ticked, setTicked] = useState({ preview, checks: [] })
  const accepted = ticked.preview === preview ? ticked.checks : []
  const [busy, setBusy] = useState("")
  const decide = async (approved) => {
    setBusy(approved ? "yes" : "no")
    try {
      await callAction({ name: "decide", payload: { suggestion, digest, preview, approved, reason: why, override: accepted } })
    } finally { setBusy("") }
  }
  const missing = overrides.filter((each) => !accepted.includes(each))
  return (
    <section className="an" ref={top} style={{ scrollMarginTop: "4rem" }} aria-label={`Suggestion ${suggestion}`}>
      <div className="an-card">
        <div className="an-head"><h3>{title}</h3><span className={`an-tag ${statusTone}`}>{status}</span></div>
        {statusNote && <p className="an-note" style={{ marginBottom: "0.6rem" }}>{statusNote}</p>}
        <p>{reason}</p>
        {moves.length > 0 && (
          <div className="an-scroll" style={{ marginTop: "0.8rem" }}><table>
            <thead><tr><th>Feature</th><th>For</th><th className="num">Typical now</th><th className="num">would be</th><th className="num">Move</th><th className="num">Whole displacement</th><th>From</th></tr></thead>
            <tbody>{moves.map((row) => <tr key={row.feature + row.group}><td className="keep">{row.feature}</td><td>{row.group}</td><td className="num">{row.now}</td><td className="num">{row.then}</td><td className="num keep">{row.move}</td><td className="num">{row.full}</td><td className="keep">{row.since}</td></tr>)}</tbody>
          </table></div>
        )}
        {settings.length > 0 && (
          <div className="an-scroll" style={{ marginTop: "0.8rem" }}><table>
            <thead><tr><th>Setting</th><th className="num">Now</th><th className="num">would be</th></tr></thead>
            <tbody>{settings.map(([name, before, after]) => <tr key={name}><td className="keep">{name}</td><td className="num">{before}</td><td className="num"><strong>{after}</strong></td></tr>)}</tbody>
          </table></div>
        )}
      </div>
      {totals.length > 0 && (
        <div className="an-tiles">{totals.map((tile) => <div className={`an-tile ${tile.tone}`} key={tile.name}><span>{tile.name}</span><b>{tile.value}</b><span>{tile.note}</span></div>)}</div>
      )}
      {hidden && <div className="an-stop" role="alert">{hidden}</div>}
      {counts.length > 0 && (
        <div className="an-card">
          <div className="an-head"><h3>What would change</h3><span className="an-note">the stored window, re-scored: exactly what applying does</span></div>
          <div className="an-scroll"><table>
            <thead><tr><th>What people called them</th><th className="num">removed</th><th className="num">added</th></tr></thead>
            <tbody>{counts.map((row) => <tr key={row.verdict}><td>{row.verdict}</td><td className="num">{row.removed}</td><td className="num">{row.added}</td></tr>)}</tbody>
          </table></div>
          <Examples title={`Examples that would go (${removed.length})`} rows={removed} />
          <Examples title={`Examples that would be new (${added.length})`} rows={added} />
        </div>
      )}
      <div className="an-cols">
        <div className="an-card">
          <div className="an-head"><h3>Checks before anything is hidden</h3></div>
          {gate.map((each) => <div className="an-check" key={each.rule}><span className={`an-tag ${each.passed ? "ok" : "bad"}`}>{each.passed ? "passed" : each.overridable ? "needs your acceptance" : "closed"}</span><span>{each.detail}</span></div>)}
          {gate.length === 0 && <p className="an-note">No preview yet.</p>}
        </div>
        <div className="an-card"><div className="an-head"><h3>What you would decide on</h3></div><dl>{facts.map(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name} is`}>{value}</dd>])}</dl></div>
      </div>
      {refusal && <div className="an-card" role="note"><div className="an-head"><h3>Not yours to decide</h3></div><p>{refusal}</p></div>}
      {canDecide && (
        <div className="an-card">
          <div className="an-head"><h3>Your decision</h3><span className="an-note">bound to the digest above; doing nothing is “not now”, never yes</span></div>
          {overrides.map((each) => <label key={each} className="an-note" style={{ display: "block" }}><input type="checkbox" checked={accepted.includes(each)} onChange={(event) => setTicked({ preview, checks: event.target.checked ? [...accepted, each] : accepted.filter((one) => one !== each) })} /> I accept that the check “{each}” does not pass</label>)}
          <div className="an-buttons" style={{ marginTop: "0.3rem" }}>
            <input type="text" className="an-grow" placeholder="Reason (kept with your name)" aria-label="Reason" maxLength={500} value={why} onChange={(event) => setWhy(event.target.value)} />
            <button className="an-btn main" disabled={!!busy || !!blocked || missing.length > 0} title={blocked || ""} onClick={() => decide(true)}>{busy === "yes" ? "Approving…" : "Approve"}</button>
            <button className="an-btn no" disabled={!!busy} onClick={() => decide(false)}>{busy === "no" ? "Rejecting…" : "Reject"}</button>
          </div>
          {blocked && <p className="an-note" style={{ marginTop: "0.5rem" }}>{blocked}</p>}
        </div>
      )}
    </section>
  )
}

const Kept = anomalystKept(Approval)
export default <Kept {...props} callAction={callAction} />
