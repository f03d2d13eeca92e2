// The page's script. Without it the page shows the same, but for later rows and the Verify button.

import { setUpBoard, setUpCopying } from "./board.js";
import { setUpNews } from "./news.js";
import { setUpReports } from "./reports.js";
import { setUpTheme } from "./theme.js";
import { setUpTime } from "./time.js";
import { setUpVerification } from "./verify.js";

const page = JSON.parse(document.getElementById("data").textContent);
setUpTheme();
if (page.rows) {
  setUpTime(page);
  setUpBoard(page);
  setUpReports(page);
  setUpVerification(page);
}
setUpCopying();
if (page.live) setUpNews(page.live);
document.documentElement.dataset.ready = "yes";
