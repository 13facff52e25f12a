const TONES = { done: "ok", running: "warn", failed: "bad", stale: "warn" }

const Walk = ({ title, run, running, stages, words, share, callAction }) => {
  return (
    <section className="an" aria-label={title}>
      <div className="an-card">
        <div className="an-head"><h3>{title}</h3><span className="an-note" role="status">{words}</span></div>
        <div className="an-bar" role="progressbar" aria-label={title} aria-valuenow={share} aria-valuemin={0} aria-valuemax={100}><i style={{ width: `${share}%` }} /></div>
        <ol className="an-stages">{stages.map((each) => <li key={each.words}><span className={`an-tag ${TONES[each.state] ?? ""}`}>{each.state}</span><span>{each.words}{each.note && <span className="an-note"> · {each.note}</span>}</span></li>)}</ol>
        {running && <div className="an-buttons" style={{ marginTop: "0.6rem" }}><button className="an-btn no" aria-label={`Stop: ${title}`} onClick={() => callAction({ name: "stop", payload: { run } })}>Stop</button><span className="an-note">what its stages have done stands</span></div>}
      </div>
    </section>
  )
}

const Kept = anomalystKept(Walk)
export default <Kept {...props} callAction={callAction} />
