import"./shop.chunk-6FHODPKD.js";import"./shop.chunk-NOV75CWV.js";
