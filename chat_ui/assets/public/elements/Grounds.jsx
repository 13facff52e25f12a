const Grounds = ({ facts, levels, levelsNote, rules, questions, sendUserMessage }) => {
  return (
    <section className="an" aria-label="What decides">
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

const Kept = anomalystKept(Grounds)
export default <Kept {...props} sendUserMessage={sendUserMessage} />
