// The page of a file: drawn once from the document that stands in it.
import { Page } from "./page.js";

new Page(JSON.parse(document.getElementById("data").textContent));
document.documentElement.dataset.ready = "yes";
