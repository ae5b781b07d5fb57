/** The controls of a running run: stop it, and a notification at its end. */

import { isBlocked, isOn, isPossible, turnOff, turnOn } from "../client/end_notices.js";
import { Button, html, useEffect, useState } from "./elements.js";

const SECONDS_TO_CONFIRM = 6;

/** Stops at the second click, if it follows soon. */
export function StopButton({ onstop, children = "Stop" }) {
  const [isArmed, setArmed] = useState(false);
  useEffect(() => {
    if (!isArmed) return;
    const timer = setTimeout(() => setArmed(false), SECONDS_TO_CONFIRM * 1000);
    return () => clearTimeout(timer);
  }, [isArmed]);
  return html`
    <${Button} onclick=${isArmed ? onstop : () => setArmed(true)} class="secondary" icon="stop">
      ${isArmed ? "Really stop? You still pay for pictures already made" : children}
    <//>
  `;
}

/** The switch for a notification at the end of the run. */
export function NotifyWhenDone() {
  const [on, setOn] = useState(isOn);
  const [blocked, setBlocked] = useState(() => isPossible() && isBlocked());
  if (!isPossible()) return null;

  async function change(event) {
    const { checked } = event.target;
    if (checked) await turnOn();
    else turnOff();
    setOn(isOn());
    setBlocked(isBlocked());
  }

  return html`
    <div class="field">
      <label class="switch">
        <input
          type="checkbox"
          role="switch"
          checked=${on}
          disabled=${blocked}
          onchange=${change}
          aria-describedby="notify-hint"
        />
        <span>Notify me when it is done</span>
      </label>
      <small id="notify-hint" class="hint" role="status">
        ${blocked
          ? "This browser blocks notifications of this page. Its settings can allow them."
          : "As a notification, if you look at another tab or window."}
      </small>
    </div>
  `;
}
