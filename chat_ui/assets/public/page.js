// Light or dark as the person's system is, until they choose: Chainlit's own setting knows only one of the two.
localStorage.getItem("vite-ui-theme") ?? localStorage.setItem("vite-ui-theme", "system")
// Tells a screen reader what a chart shows: the summary that was stored with it.
const describe = () => {
  for (const drawing of document.querySelectorAll(".js-plotly-plot:not([aria-label])")) {
    const summary = drawing.layout?.meta?.summary
    if (!summary) continue
    drawing.setAttribute("role", "img")
    drawing.setAttribute("aria-label", summary)
  }
}
// The first answer of a chat makes a thread, and the page draws its input anew: what was typed meanwhile is kept.
let input = null
const keepDraft = () => {
  const drawn = document.getElementById("chat-input")
  if (!drawn || drawn === input) return
  const draft = input?.value
  input = drawn
  if (!draft || drawn.value) return
  // React takes a value that was set past it only from an event, and only if its own setter did not see it
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(drawn, draft)
  drawn.dispatchEvent(new Event("input", { bubbles: true }))
  drawn.focus()
}
// The page evaluates a card's source again whenever something comes below it, and React takes the new function for another
// component: what a person typed, ticked, sorted or opened in the card would be gone. The first function of each name and source stays.
const kept = {}
window.anomalystKept = (card) => (kept[card.name + card] ??= card)
// A card brings itself into view once: the page draws it anew when it moves to a thread, and would go back to it.
const shown = new Set()
window.anomalystShow = (card, drawn, block) => {
  if (!card || shown.has(drawn) || !(Date.now() - drawn < 20_000)) return
  shown.add(drawn)
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches
  card.scrollIntoView({ block, behavior: still ? "instant" : "smooth" })
}
let waiting = false
new MutationObserver(() => {
  keepDraft()
  if (waiting) return
  waiting = true
  setTimeout(() => { waiting = false; describe() }, 200)
}).observe(document.documentElement, { childList: true, subtree: true })
