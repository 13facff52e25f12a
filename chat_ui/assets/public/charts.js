// Tells a screen reader what a chart shows: the summary that was stored with it.
const describe = () => {
  for (const drawing of document.querySelectorAll(".js-plotly-plot:not([aria-label])")) {
    const summary = drawing.layout?.meta?.summary
    if (!summary) continue
    drawing.setAttribute("role", "img")
    drawing.setAttribute("aria-label", summary)
  }
}
let waiting = false
new MutationObserver(() => {
  if (waiting) return
  waiting = true
  setTimeout(() => { waiting = false; describe() }, 200)
}).observe(document.documentElement, { childList: true, subtree: true })
