import { useEffect, useRef, useState } from "react"

const Said = ({ tone, text, buttons, form, drawn, callAction }) => {
  const top = useRef(null)
  useEffect(() => { window.anomalystShow(top.current, drawn, "nearest") }, [])
  const [busy, setBusy] = useState(false)
  const [fields, setFields] = useState(form ? form.values : {})
  const act = async (each) => {
    setBusy(true)
    try { await callAction({ name: each.action, payload: { ...each.payload, ...fields } }) } finally { setBusy(false) }
  }
  return (
    <section className="an" ref={top} style={{ scrollMarginBottom: "10rem" }} aria-live="polite">
      <div className={tone}>{text}
        {form && <div className="an-buttons" style={{ marginTop: "0.6rem" }}>{form.inputs.map((each) => <label key={each.name} className="an-note">{each.words} <input type="text" aria-label={each.words} value={fields[each.name]} onChange={(event) => setFields({ ...fields, [each.name]: event.target.value })} /></label>)}</div>}
        {buttons.length > 0 && <div className="an-buttons" style={{ marginTop: "0.6rem" }}>{buttons.map((each) => <button key={each.words} className={`an-btn ${each.main ? "main" : ""}`} disabled={busy} onClick={() => act(each)}>{busy ? "Working…" : each.words}</button>)}</div>}
      </div>
    </section>
  )
}

const Kept = anomalystKept(Said)
export default <Kept {...props} callAction={callAction} />
