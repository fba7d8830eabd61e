// Pages of the house: who may sign on from elsewhere, who did what, what works in the background, what was taken along.

import { audit } from "./audit.js";
import { exporting } from "./exports.js";
import { jobs } from "./jobs.js";
import { sso } from "./sso.js";

const PAGES = { sso, audit, jobs, exports: exporting };

export const view = (here) => PAGES[here.peek().params.page]();
