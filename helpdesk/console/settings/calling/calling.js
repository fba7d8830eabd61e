// Who is called: who is on duty when, what happens step by step, and the chat rooms that are told.

import { duty } from "./duty.js";
import { escalation } from "./escalation.js";
import { routes } from "./routes.js";

const PAGES = { duty, escalation, "alert-routes": routes };

export const view = (here) => PAGES[here.peek().params.page]();
