// Lighthouse over the page's views, signed in as a person is. Prints JSON:
// `node page_scores.mjs MODULES CHROMIUM URL USER PASSWORD`

import { pathToFileURL } from "node:url";

const [modules, executablePath, url, user, password] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${modules}/${path}`));
const { startFlow } = await load("lighthouse/core/index.js");
const constants = await load("lighthouse/core/config/constants.js");
const { default: puppeteer } = await load(
  "puppeteer-core/lib/esm/puppeteer/puppeteer-core.js",
).catch(() => load("puppeteer-core/lib/puppeteer/puppeteer-core.js"));

const browser = await puppeteer.launch({
  executablePath,
  headless: true,
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
try {
  const page = await browser.newPage();
  const config = {
    extends: "lighthouse:default",
    settings: {
      onlyCategories: ["performance", "accessibility", "best-practices"],
      formFactor: "desktop",
      screenEmulation: { mobile: false, width: 1350, height: 940, deviceScaleFactor: 1 },
      throttling: constants.throttling.desktopDense4G,
      disableStorageReset: true,
    },
  };
  const flow = await startFlow(page, { config });
  await page.goto(url, { waitUntil: "networkidle0" }); // the functions are warm from here on
  await flow.navigate(url, { name: "signed out", disableStorageReset: false });
  await page.goto(url);
  await page.locator("main button").click();
  await page.locator("input[name=username]").fill(user);
  await page.locator("input[name=password]").fill(password);
  await Promise.all([
    page.waitForNavigation(),
    page.locator("button[type=submit], input[type=submit]").click(),
  ]);
  await page.locator("#sign-out").wait();
  for (const view of ["make", "gallery", "runs"]) {
    await page.goto("about:blank"); // a change of the hash alone would be no load
    await flow.navigate(`${url}#${view}`, { name: view });
  }
  const { steps } = await flow.createFlowResult();
  const scores = steps.map(({ name, lhr }) => [
    name,
    {
      ...Object.fromEntries(
        Object.values(lhr.categories).map(({ id, score }) => [id, Math.round(score * 100)]),
      ),
      kilobytes: Math.round(lhr.audits["total-byte-weight"].numericValue / 1024),
      ms: Math.round(lhr.audits["largest-contentful-paint"].numericValue),
      shift: Number(lhr.audits["cumulative-layout-shift"].numericValue.toFixed(3)),
      missing: Object.values(lhr.audits)
        .filter(({ score, scoreDisplayMode }) => scoreDisplayMode === "binary" && score === 0)
        .map(({ id }) => id),
    },
  ]);
  console.log(JSON.stringify(Object.fromEntries(scores)));
} finally {
  await browser.close();
}
