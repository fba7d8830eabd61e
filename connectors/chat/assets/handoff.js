// A conversation that came from elsewhere: its session is put where the widget looks for one, and the widget is opened.
// Whoever has none here is left to read that the link was used: an open chat, which covers all of a phone, hides that.

const found = document.getElementById("handoff");
const { inbox, session } = JSON.parse(found.textContent);
found.remove();
const place = `helpdesk.chat.${inbox}.session`;
let known = false;
try {
  if (session) localStorage.setItem(place, JSON.stringify(session));
  known = localStorage.getItem(place) !== null;
} catch {
  // Full, or refused: then the link has opened nothing, and an agent sends another one.
}
await import(`/channels/chat/widget.js?inbox=${inbox}&lang=${document.documentElement.lang}`);
if (session || known) window.helpdesk?.chat?.open();
