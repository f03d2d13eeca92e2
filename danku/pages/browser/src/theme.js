// Light, dark, or as the system has it; remembered where the browser lets a page remember.

const NAMES = ["system", "light", "dark"];
const KEY = "danku-theme";

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export function setUpTheme() {
  const [button, name] = [document.getElementById("theme"), document.getElementById("theme-name")];
  let theme = NAMES.includes(remembered()) ? remembered() : "system";
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    name.textContent = theme;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = NAMES[(NAMES.indexOf(theme) + 1) % NAMES.length];
    apply();
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // It lasts until the page is left.
    }
  });
  apply();
}
