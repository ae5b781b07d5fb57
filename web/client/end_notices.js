/** Notifies people of the end of a run while the page is hidden, if they ask for it here. */

const STORED_AS = "easel.notify-when-done";

/** Whether this browser can show notifications. */
export const isPossible = () => "Notification" in window;
/** Whether the browser refuses notifications of this page. Only its settings change that. */
export const isBlocked = () => Notification.permission === "denied";
/** Whether this page notifies people of the end of a run. */
export const isOn = () =>
  isPossible() && Notification.permission === "granted" && sessionStorage.getItem(STORED_AS) === "on";

/** Turns it on and asks the browser for permission. Call it on a click only. */
export async function turnOn() {
  if (Notification.permission === "default") await Notification.requestPermission();
  sessionStorage.setItem(STORED_AS, "on");
}

export const turnOff = () => sessionStorage.removeItem(STORED_AS);

/** Shows that a run has ended, unless the page is visible. */
export function notifyOfEnd(run, title) {
  if (!isOn() || !document.hidden) return;
  try {
    // A notification with the same tag replaces the earlier one of this run.
    const notification = new Notification(title, { tag: run.id, icon: "./web/favicon.svg" });
    notification.onclick = () => {
      window.focus();
      notification.close();
    };
  } catch {
    // Browsers on phones offer the class, and then refuse to construct one.
  }
}
