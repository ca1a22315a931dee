var t=n=>n.toLocaleString(document.documentElement.lang);export{t as a};
