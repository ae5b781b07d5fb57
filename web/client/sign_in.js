/**
 * Signs people in and out. The flow is code with PKCE.
 *
 * The tokens stay in this tab. A new tab gets its own ones by a redirect, without a question, as long
 * as Cognito's session lasts. For this, the browser keeps one mark without any secret: that someone
 * is signed in.
 */

/* global oidc */

import { noAnswer } from "./api.js";
import { forgetDrafts } from "./drafts.js";
import { forgetClick } from "./run_start.js";

const WHO = "easel.who";
const RETURN_TO = "easel.return-to";
const MARK = "easel.signed-in"; // in localStorage, which all tabs share
const HAS_TRIED = "easel.tried-silently";
const SECONDS_BEFORE_END = 60;
// OpenID Connect's names for: this cannot be done without showing a page.
const NEEDS_A_PAGE = ["login_required", "interaction_required", "consent_required"];

/**
 * A sign-in from config.json. `start` leaves the page, `finish` is called on the return.
 *
 * `onSignedOut()` is called when another tab has signed out.
 */
export class Session {
  #provider;
  #pageUrl;
  #manager;
  #renewal = null;

  constructor({ sign_in: provider, page_url: pageUrl }, onSignedOut) {
    this.#provider = provider;
    this.#pageUrl = pageUrl;
    // The library keeps the state of a sign-in in localStorage by default, which outlives the tab.
    const store = new oidc.WebStorageStateStore({ store: sessionStorage });
    this.#manager = new oidc.UserManager({
      authority: provider.authority,
      metadata: provider.metadata,
      client_id: provider.client_id,
      scope: provider.scope,
      response_type: "code",
      redirect_uri: pageUrl,
      userStore: store,
      stateStore: store,
      loadUserInfo: false,
      // It would fall back on an iframe, which the content security policy forbids. token() renews.
      automaticSilentRenew: false,
    });
    addEventListener("storage", async ({ key, newValue }) => {
      if (key !== MARK || newValue !== null) return;
      await this.#forgetAll();
      onSignedOut();
    });
  }

  /** Returns the access token, renewed if it expires soon, or null when signed out. */
  async token() {
    const user = await this.#manager.getUser();
    if (!user) return null;
    if (user.expires_in > SECONDS_BEFORE_END) return user.access_token;
    if (user.expired) return this.renew();
    return (await this.renew().catch(() => null)) ?? user.access_token;
  }

  /** Returns a new access token by the refresh token, or null if only a new sign-in helps. */
  renew() {
    this.#renewal ??= this.#renewNow().finally(() => (this.#renewal = null));
    return this.#renewal;
  }

  async #renewNow() {
    const user = await this.#manager.getUser();
    if (!user?.refresh_token) return null;
    try {
      return (await this.#manager.signinSilent())?.access_token ?? null;
    } catch (error) {
      // Only a refusal ends the session; a lost connection may come back.
      if (!(error instanceof oidc.ErrorResponse)) throw noAnswer();
      await this.#manager.removeUser();
      return null;
    }
  }

  async start(options) {
    sessionStorage.setItem(RETURN_TO, location.hash);
    await this.#manager.signinRedirect(options);
  }

  /** Signs in without a question, if another tab is signed in. Returns whether it leaves the page. */
  startSilently() {
    if (!localStorage.getItem(MARK) || sessionStorage.getItem(HAS_TRIED)) return false;
    sessionStorage.setItem(HAS_TRIED, "1");
    this.start({ prompt: "none" }).catch(() => location.reload());
    return true;
  }

  /** Completes a sign-in that came back with ?code or ?error. Returns its problem, or null. */
  async finish() {
    const query = new URLSearchParams(location.search);
    if (!query.has("code") && !query.has("error")) return null;
    const returned = location.href;
    const hash = sessionStorage.getItem(RETURN_TO) ?? "";
    history.replaceState(null, "", location.pathname + hash);
    sessionStorage.removeItem(RETURN_TO);
    try {
      const { profile } = await this.#manager.signinRedirectCallback(returned);
      // What someone else wrote is not shown, and a click of theirs is not sent again.
      const who = sessionStorage.getItem(WHO);
      if (who !== profile.sub) forgetClick();
      if (who && who !== profile.sub) forgetDrafts();
      sessionStorage.setItem(WHO, profile.sub);
      sessionStorage.removeItem(HAS_TRIED);
      localStorage.setItem(MARK, "1");
      return null;
    } catch (error) {
      if (NEEDS_A_PAGE.includes(error.error)) {
        localStorage.removeItem(MARK);
        return null;
      }
      return {
        title: "Sign-in failed",
        message:
          error instanceof oidc.ErrorResponse
            ? error.error_description || error.error
            : "The sign-in page returned an unexpected answer.",
        whatToDo: "Try again. If it keeps failing, ask the person who runs this Easel.",
      };
    }
  }

  async end() {
    localStorage.removeItem(MARK); // the other tabs sign out, too
    await this.#forgetAll();
    const target = new URL(this.#provider.metadata.end_session_endpoint);
    target.searchParams.set("client_id", this.#provider.client_id);
    target.searchParams.set("logout_uri", this.#pageUrl);
    location.assign(target);
  }

  async #forgetAll() {
    // Best effort: without it the refresh token would stay valid for a day.
    await this.#manager.revokeTokens(["refresh_token"]).catch(() => {});
    await this.#manager.removeUser();
    sessionStorage.clear();
  }

  /** Forgets a token that the API refuses. */
  forget() {
    return this.#manager.removeUser();
  }
}
