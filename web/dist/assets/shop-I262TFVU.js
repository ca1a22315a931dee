import"./shop.chunk-PSOXAZYC.js";import"./shop.chunk-NOV75CWV.js";
