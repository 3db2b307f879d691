// The page begins here, when all modules are there.

document.documentElement.classList.add("scripted");
startMap();
startFilters();
