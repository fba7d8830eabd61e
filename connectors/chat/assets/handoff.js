// A conversation that came from elsewhere: its session is put where the widget looks for one, and the widget is opened.

const found = document.getElementById("handoff");
const { inbox, session } = JSON.parse(found.textContent);
found.remove();
if (session) {
  try {
    localStorage.setItem(`helpdesk.chat.${inbox}.session`, JSON.stringify(session));
  } catch {
    // Full, or refused: then the link has opened nothing, and an agent sends another one.
  }
}
await import(`/channels/chat/widget.js?inbox=${inbox}&lang=${document.documentElement.lang}`);
window.helpdesk?.chat?.open();
