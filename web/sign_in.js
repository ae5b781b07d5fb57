/** Signs people in and out (code with PKCE, by oidc-client-ts) and keeps their token in this tab only. */

/* global oidc */

import { noAnswer } from "./api.js";
import { forgetPurchase } from "./purchase.js";

const WHO = "easel.who";
const RETURN_TO = "easel.return-to";
const SECONDS_BEFORE_END = 60;

/** A session from config.json: `start` leaves the page, `finish` comes back to it. */
export function makeSession({ sign_in: provider, page_url: pageUrl }) {
  // The library's own default for the state of a sign-in is localStorage, which outlives the tab.
  const store = new oidc.WebStorageStateStore({ store: sessionStorage });
  const manager = new oidc.UserManager({
    authority: provider.authority,
    metadata: provider.metadata,
    client_id: provider.client_id,
    scope: provider.scope,
    response_type: "code",
    redirect_uri: pageUrl,
    userStore: store,
    stateStore: store,
    loadUserInfo: false,
    // It would fall back on an iframe, which the content security policy forbids; token() renews when it has to.
    automaticSilentRenew: false,
  });
  let renewal = null;

  function renew() {
    renewal ??= renewNow().finally(() => (renewal = null));
    return renewal;
  }

  async function renewNow() {
    const user = await manager.getUser();
    if (!user?.refresh_token) return null;
    try {
      return (await manager.signinSilent())?.access_token ?? null;
    } catch (error) {
      // Only a refusal ends the session; a lost connection may come back.
      if (!(error instanceof oidc.ErrorResponse)) throw noAnswer();
      await manager.removeUser();
      return null;
    }
  }

  return {
    /** A new access token by the refresh token; null where there is no way but to sign in again. */
    renew,
    /** The access token, renewed if it is about to end; null when signed out. */
    async token() {
      const user = await manager.getUser();
      if (!user) return null;
      if (user.expires_in > SECONDS_BEFORE_END) return user.access_token;
      if (user.expired) return renew();
      return (await renew().catch(() => null)) ?? user.access_token;
    },
    async start() {
      sessionStorage.setItem(RETURN_TO, location.hash);
      await manager.signinRedirect();
    },
    /** Completes a sign-in that came back with ?code or ?error; gives the problem, if there is one. */
    async finish() {
      const query = new URLSearchParams(location.search);
      if (!query.has("code") && !query.has("error")) return null;
      const returned = location.href;
      history.replaceState(null, "", location.pathname + (sessionStorage.getItem(RETURN_TO) ?? ""));
      sessionStorage.removeItem(RETURN_TO);
      try {
        const { profile } = await manager.signinRedirectCallback(returned);
        // A click that somebody else left without an answer is not this one's to send again.
        if (sessionStorage.getItem(WHO) !== profile.sub) forgetPurchase();
        sessionStorage.setItem(WHO, profile.sub);
        return null;
      } catch (error) {
        const said =
          error instanceof oidc.ErrorResponse
            ? error.error_description || error.error
            : "The answer from the sign-in page was not the one that was waited for.";
        return {
          title: "The sign-in did not work",
          message: said,
          whatToDo: "Try once more. If it stays so, ask whoever runs this Easel.",
        };
      }
    },
    async end() {
      // Best effort: without it the refresh token would live on for a day.
      await manager.revokeTokens(["refresh_token"]).catch(() => {});
      await manager.removeUser();
      sessionStorage.clear();
      const target = new URL(provider.metadata.end_session_endpoint);
      target.searchParams.set("client_id", provider.client_id);
      target.searchParams.set("logout_uri", pageUrl);
      location.assign(target);
    },
    /** Forgets a token that the API refuses. */
    forget: () => manager.removeUser(),
  };
}
