import"./shop.chunk-BD2BH5AM.js";import"./shop.chunk-NOV75CWV.js";
