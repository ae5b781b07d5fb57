/** Who is signed in, and what their role lets them do. */

import { left, upTo } from "../client/format.js";
import { Icon, html } from "./elements.js";

/** Somebody whose role is not known, as in a deployment without roles. The API still checks. */
const SOMEBODY = { person: null, name: null, role: "make", budget: null };
const CHANGED = "easel:me";

/** Reads who is signed in. Without an answer, the page offers everything but administration. */
export const readMe = (api, known = SOMEBODY) => api.me().catch(() => known);

/** Has the header read again what is left of the person's budget. */
export const announceBudgetChanged = () => dispatchEvent(new Event(CHANGED));

export const onBudgetChanged = (listener) => addEventListener(CHANGED, listener);

/** Returns what a person of this role may do. A role includes those before it. */
export const rightsOf = ({ role }) => ({
  mayMake: role !== "look",
  mayAdminister: role === "administer",
});

/** The header's words: the name, the role, and what is left of the person's budget. */
export function Who({ me: { name, role, budget } }) {
  if (!name) return null;
  const rest = budget && budget.left_usd != null && `${left(budget.left_usd)} left`;
  const whole = rest && `${rest} of your ${upTo(budget.cap_usd)} this month`;
  return html`
    <strong title=${name}>${name}</strong>
    <small title=${whole}>${[`Role: ${role}`, rest].filter(Boolean).join(" · ")}</small>
  `;
}

/** Explains to somebody who may only look why a view has no buttons. */
export function LookOnly({ children }) {
  return html`
    <div class="callout">
      <strong><${Icon} name="info" /> You can view, but not change anything</strong>
      <p>Your role is <em>look</em>. ${children} An administrator of this Easel can change it.</p>
    </div>
  `;
}
